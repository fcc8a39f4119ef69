package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/client"
)

const keysUsage = `Usage: jobhub keys create --role ROLE [--name NAME] [--tenant TENANT] [--team TEAM]
                          [--scopes orders.read,orders.write] [--plan PLAN] [--rate 100/1m]
                          [--quota 10000/1d] [--budget 50/30d] [--expires 720h]
       jobhub keys list [--tenant TENANT] [--team TEAM] [--role ROLE]
       jobhub keys show NAME|ID
       jobhub keys update NAME|ID and what to change, as for create; an empty text removes it
       jobhub keys revoke NAME|ID

Makes, lists, changes and revokes the keys with which callers authenticate. A key is printed
once, when it is made; only its hash is stored. A running hub notices changes within a second.
jobhub token is the same command.

The keys are those in the folder --data, on the hub's machine; or with --server those of a
running hub, which wants a key of the role admin.

Once there is a key, every caller needs one: give each command its key as JOBHUB_TOKEN or
--token, and restart workers with one. When a key is revoked, its connections, tokens and
sessions end, and its schedules and batches stop. When the last key is revoked, the hub
still requires one.

  admin      everything
  operator   everything but what concerns keys and the hub itself
  submitter  submits, watches and cancels jobs
  worker     runs jobs, and watches
  viewer     watches
  monitor    reads /metrics and the details of /readyz, nothing else

`

// keyFlags are the flags of jobhub keys.
type keyFlags struct {
	data    string
	json    bool
	members client.KeyMembers
	given   []string // names of the flags for members
}

func runKeys(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, c := newFlags("keys", keysUsage, stderr), &client.Client{}
	var f keyFlags
	const defaultData = "./jobhub-data"
	fs.StringVar(&f.data, "data", defaultData, "`folder` of the hub's store")
	fs.StringVar(&c.Base, "server", "", "`URL` of a running hub, whose keys they are, instead of --data")
	fs.StringVar(&c.Token, "token", "", "`key` for the hub at --server; better set JOBHUB_TOKEN, as other users of this machine can see flags")
	fs.BoolVar(&f.json, "json", false, "print each key's document, one per line")
	member := func(name, usage string, to **string) {
		fs.Func(name, usage, func(text string) error { *to = &text; return nil })
	}
	member("role", "`role` of the key: "+strings.Join(auth.RoleNames(), ", "), &f.members.Role)
	member("name", "`name` of the key, shown in lists and as author of changes (default its id)", &f.members.Name)
	member("tenant", "`tenant` of the key; tenants can't see each other (default \"default\", or that of --token)", &f.members.Tenant)
	member("team", "`team` of its holder, which may own APIs", &f.members.Team)
	member("plan", "`plan` of the hub's configuration, whose limits it has", &f.members.Plan)
	member("rate", "how many requests it may send in a `time`, like 100/1m", &f.members.Rate)
	member("quota", "how many requests it may send in a long `time`, like 10000/1d", &f.members.Quota)
	member("budget", "how many USD it may spend in a `time`, like 50/30d", &f.members.Budget)
	member("expires", "how `long` the key is valid, like 720h, or until when, like 2030-01-31T12:00:00Z (default for ever)", &f.members.Expires)
	fs.Func("scopes", "what it may do on routes: comma-separated `names`", func(text string) error {
		var list names
		err := list.Set(text)
		all := append([]string{}, list...)
		f.members.Scopes = &all
		return err
	})
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	fs.Visit(func(given *flag.Flag) {
		if !slices.Contains([]string{"data", "server", "token", "json"}, given.Name) {
			f.given = append(f.given, given.Name)
		}
	})
	var store keyStore = keyServer{c}
	switch {
	case c.Base != "" && f.data != defaultData:
		fmt.Fprintln(stderr, "jobhub keys: give --data or --server, not both; JOBHUB_DATA and JOBHUB_SERVER set them, too")
		return 2
	case c.Base == "":
		keys, err := auth.Open(f.data)
		if err != nil {
			fmt.Fprintln(stderr, "jobhub keys:", err)
			return 1
		}
		store = keyFolder{keys}
	}
	known, err := f.run(ctx, store, args, stdout, stderr)
	switch {
	case !known:
		fmt.Fprintln(stderr, "jobhub keys: want create --role ROLE, list, show NAME, update NAME and what to change, or revoke NAME; see --help")
		return 2
	case err != nil:
		return fail(stderr, "keys", c.Base, namingFlags(err))
	}
	return 0
}

// run runs a subcommand, if the arguments are one.
func (f *keyFlags) run(ctx context.Context, store keyStore, args []string, stdout, stderr io.Writer) (known bool, err error) {
	filters := !slices.ContainsFunc(f.given, func(name string) bool { return !slices.Contains([]string{"role", "team", "tenant"}, name) })
	switch verb := append(args, "")[0]; {
	case len(args) == 1 && verb == "create" && value(f.members.Role) != "":
		return true, f.create(ctx, store, stdout, stderr)
	case len(args) == 1 && verb == "list" && filters:
		list, err := store.list(ctx, client.KeyFilter{Tenant: value(f.members.Tenant), Team: value(f.members.Team), Role: value(f.members.Role)})
		if err != nil {
			return true, err
		}
		return true, f.print(stdout, printKeys, list...)
	case len(args) == 2 && verb == "show" && len(f.given) == 0:
		key, err := store.find(ctx, args[1])
		if err != nil {
			return true, err
		}
		return true, f.print(stdout, printKey, key)
	case len(args) == 2 && verb == "update" && len(f.given) > 0:
		key, err := store.update(ctx, args[1], f.members)
		if err != nil {
			return true, err
		}
		return true, f.print(stdout, printKey, key)
	case len(args) == 2 && verb == "revoke" && len(f.given) == 0:
		return true, f.revoke(ctx, store, args[1], stdout, stderr)
	}
	return false, nil
}

// value is a flag's text; empty if it was not given.
func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func (f *keyFlags) create(ctx context.Context, store keyStore, stdout, stderr io.Writer) error {
	made, err := store.create(ctx, f.members)
	if err != nil {
		return err
	}
	if f.json {
		fmt.Fprintln(stdout, made.Raw)
	} else {
		fmt.Fprintln(stdout, made.Text)
	}
	until := ""
	if !made.Expires.IsZero() {
		until = ", valid until " + made.Expires.Local().Format(time.DateTime)
	}
	fmt.Fprintf(stderr, "This key (%s, role %s, tenant %s%s) is shown only now. Use it as JOBHUB_TOKEN or in Authorization: Bearer.\n", printable(made.Name), made.Role, made.Tenant, until)
	for _, note := range made.Notes {
		fmt.Fprintln(stderr, printable(note))
	}
	return nil
}

func (f *keyFlags) revoke(ctx context.Context, store keyStore, name string, stdout, stderr io.Writer) error {
	key, err := store.revoke(ctx, name)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s %s revoked\n", key.ID, printable(key.Name))
	if _, folder := store.(keyFolder); !folder { // a hub keeps one
		return nil
	}
	list, err := store.list(ctx, client.KeyFilter{})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(k client.Key) bool { return k.State == auth.StateValid }) {
		fmt.Fprintf(stderr, "No valid key is left, and the hub still requires one: make another with jobhub keys create; or, to open the hub to everybody on its machine, stop it, delete %s and start it.\n", filepath.Join(f.data, "keys.json"))
	}
	return nil
}

// print prints keys: as JSON if that is asked for, else with forPeople.
func (f *keyFlags) print(stdout io.Writer, forPeople func(io.Writer, []client.Key) error, keys ...client.Key) error {
	if !f.json {
		return forPeople(stdout, keys)
	}
	for _, key := range keys {
		fmt.Fprintln(stdout, key.Raw)
	}
	return nil
}

func printKeys(stdout io.Writer, keys []client.Key) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tROLE\tTENANT\tTEAM\tPLAN\tCREATED\tEXPIRES\tSTATE")
	for _, key := range keys {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, printable(key.Name), key.Role, key.Tenant, cmp.Or(key.Team, "-"), cmp.Or(key.Plan, "-"),
			key.Created.Local().Format(time.DateTime), localTime(key.Expires), keyState(key))
	}
	return table.Flush()
}

func printKey(stdout io.Writer, keys []client.Key) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for _, key := range keys {
		for _, row := range [][2]string{{"id", key.ID}, {"name", key.Name}, {"role", key.Role}, {"tenant", key.Tenant}, {"team", key.Team}, {"scopes", strings.Join(key.Scopes, ",")}, {"plan", key.Plan},
			{"rate", key.Rate}, {"quota", key.Quota}, {"budget", key.Budget}, {"created", localTime(key.Created)}, {"expires", localTime(key.Expires)}, {"state", keyState(key)}} {
			fmt.Fprintf(table, "%s\t%s\n", row[0], printable(cmp.Or(row[1], "-")))
		}
	}
	return table.Flush()
}

func keyState(key client.Key) string {
	switch key.State {
	case auth.StateValid:
		return "good"
	case auth.StateRevoked:
		return "revoked " + localTime(key.Revoked)
	}
	return key.State
}

// localTime is a time for people; - for none.
func localTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

// namingFlags returns an error about members of a key as one about the flags that set them.
func namingFlags(err error) error {
	var faults []string
	add := func(pointer, detail string) {
		name, _, _ := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
		faults = append(faults, "--"+name+" "+detail)
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		for _, e := range p.Errors {
			add(e.Pointer, e.Detail)
		}
	} else if p, ok := errors.AsType[*client.Problem](err); ok {
		for _, e := range p.Errors {
			add(e.Pointer, e.Detail)
		}
	}
	if len(faults) == 0 {
		return err
	}
	return errors.New(strings.Join(faults, "; "))
}
