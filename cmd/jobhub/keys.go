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

Makes, lists and revokes the keys that callers show to the hub. A key is printed once,
when it is made; only its hash is stored. A running hub follows within a second.
jobhub token is the same command.

From the first key on the hub answers nobody without one: give each command its key as
JOBHUB_TOKEN or --token, and start running workers again with one. The connections,
tokens and sessions of a revoked key end; its schedules and batches go no further. The
hub stays closed when the last key is revoked.

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
	fs.StringVar((*string)(&key.Role), "role", "", "what the key is for: "+strings.Join(auth.RoleNames(), ", "))
	fs.StringVar(&key.Name, "name", "", "what people call it, for lists and as author of changes (default its id)")
	fs.StringVar(&key.Tenant, "tenant", "", "whose jobs it is about; tenants see nothing of each other (default \"default\")")
	expires := fs.Duration("expires", 0, "how long it is good for, like 720h (default for ever)")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	now := time.Now()
	if *expires < 0 {
		fmt.Fprintln(stderr, "jobhub keys: --expires takes how long the key is good for, like 720h")
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
		until = ", good until " + key.Expires.Local().Format(time.DateTime)
	}
	fmt.Fprintf(stderr, "This key (%s, role %s, tenant %s%s) is shown only now. Use it as JOBHUB_TOKEN or in Authorization: Bearer.\n", printable(key.Name), key.Role, key.Tenant, until)
	if first {
		fmt.Fprintln(stderr, "It is the hub's first key: from now on the hub answers nobody without one, so give your commands theirs (export JOBHUB_TOKEN=jh_…), start running workers again with one, and save schedules again that were made before.")
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
		fmt.Fprintf(stderr, "No good key is left, and the hub stays closed: make another with jobhub keys create; or, to open the hub to everybody on its machine, stop it, delete %s and start it.\n", filepath.Join(data, "keys.json"))
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
