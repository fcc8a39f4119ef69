package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"jobhub/web/auth"
)

const keysUsage = `Usage: jobhub keys create --role ROLE [--name NAME] [--tenant TENANT] [--expires 720h] [--data DIR]
       jobhub keys list [--data DIR]
       jobhub keys revoke NAME|ID [--data DIR]

Makes, lists and revokes the keys with which callers authenticate. A key is printed once,
when it is made; only its hash is stored. A running hub notices changes within a second.
jobhub token is the same command.

Once there is a key, every caller needs one: give each command its key as JOBHUB_TOKEN or
--token, and restart workers with one. When a key is revoked, its connections, tokens and
sessions end, and its schedules and batches stop. When the last key is revoked, the hub
still requires one.

  admin      everything
  operator   everything but what concerns keys
  submitter  submits, watches and cancels jobs
  worker     runs jobs, and watches
  viewer     watches
  monitor    reads /metrics and the details of /readyz, nothing else

`

func runKeys(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs := newFlags("keys", keysUsage, stderr)
	var key auth.Key
	data := fs.String("data", "./jobhub-data", "`folder` of the hub's store")
	fs.StringVar((*string)(&key.Role), "role", "", "`role` of the key: "+strings.Join(auth.RoleNames(), ", "))
	fs.StringVar(&key.Name, "name", "", "`name` of the key, shown in lists and as author of changes (default its id)")
	fs.StringVar(&key.Tenant, "tenant", "", "`tenant` of the key; tenants can't see each other (default \"default\")")
	expires := fs.Duration("expires", 0, "how long the key is valid, like 720h (default for ever)")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	now := time.Now()
	if *expires < 0 {
		fmt.Fprintln(stderr, "jobhub keys: --expires must be how long the key is valid, like 720h")
		return 2
	}
	if *expires > 0 {
		key.Expires = now.Add(*expires)
	}
	keys, err := auth.Open(*data)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub keys:", err)
		return 1
	}
	switch verb := append(args, "")[0]; {
	case len(args) == 1 && verb == "create" && key.Role != "":
		err = createKey(keys, key, now, stdout, stderr)
	case len(args) == 1 && verb == "list":
		err = listKeys(keys, now, stdout)
	case len(args) == 2 && verb == "revoke":
		err = revokeKey(keys, args[1], *data, now, stdout, stderr)
	default:
		fmt.Fprintln(stderr, "jobhub keys: want create --role ROLE, list, or revoke NAME; see --help")
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, "jobhub keys:", err)
		return 1
	}
	return 0
}

func createKey(keys *auth.Keys, key auth.Key, now time.Time, stdout, stderr io.Writer) error {
	first := !keys.Configured(now)
	key, text, err := keys.Create(key, now)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, text)
	until := ""
	if !key.Expires.IsZero() {
		until = ", valid until " + key.Expires.Local().Format(time.DateTime)
	}
	fmt.Fprintf(stderr, "This key (%s, role %s, tenant %s%s) is shown only now. Use it as JOBHUB_TOKEN or in Authorization: Bearer.\n", printable(key.Name), key.Role, key.Tenant, until)
	if first {
		fmt.Fprintln(stderr, "It is the hub's first key: from now on every caller needs one. Give your commands a key (export JOBHUB_TOKEN=jh_…), restart workers with one, and save existing schedules again.")
	}
	return nil
}

func revokeKey(keys *auth.Keys, name, data string, now time.Time, stdout, stderr io.Writer) error {
	key, err := keys.Revoke(name, now)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s %s revoked\n", key.ID, printable(key.Name))
	list, err := keys.List()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(k auth.Key) bool { return k.State(now) == nil }) {
		fmt.Fprintf(stderr, "No valid key is left, and the hub still requires one: make another with jobhub keys create; or, to open the hub to everybody on its machine, stop it, delete %s and start it.\n", filepath.Join(data, "keys.json"))
	}
	return nil
}

func listKeys(keys *auth.Keys, now time.Time, stdout io.Writer) error {
	list, err := keys.List()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tROLE\tTENANT\tCREATED\tEXPIRES\tSTATE")
	for _, key := range list {
		state, expires := "good", "-"
		switch err := key.State(now); {
		case errors.Is(err, auth.ErrRevoked):
			state = "revoked " + key.Revoked.Local().Format(time.DateTime)
		case err != nil:
			state = "expired"
		}
		if !key.Expires.IsZero() {
			expires = key.Expires.Local().Format(time.DateTime)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, printable(key.Name), key.Role, key.Tenant, key.Created.Local().Format(time.DateTime), expires, state)
	}
	return table.Flush()
}
