package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"

	"jobhub/cmd/jobhub/app"
	"jobhub/jobs"
)

var urlPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := app.Options{Version: programVersion()}
	fs := flag.NewFlagSet("jobhub serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.Addr, "addr", app.DefaultAddr, "`address` to listen on; loopback, unless there are keys (jobhub keys create); port 0 takes a free one")
	fs.StringVar(&o.Data, "data", "./jobhub-data", "`folder` of the store and the keys; it is created")
	fs.Var((*names)(&o.Hosts), "hosts", "host `names` of the hub, besides loopback ones and an IP address in --addr, like hub.example.com")
	fs.Func("url", "public `address` of the hub, like https://hub.example.com or https://example.com/jobhub, for links and examples; a proxy may strip its path or not", func(text string) error {
		u, err := url.Parse(strings.TrimSuffix(text, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery+u.Fragment != "" || !urlPath.MatchString(u.Path) {
			return errors.New("it must be like https://hub.example.com or https://example.com/jobhub")
		}
		o.URL = u.String()
		return nil
	})
	fs.Var((*prefixes)(&o.Proxies), "trusted-proxies", "`ranges` of proxies in front of the hub whose X-Forwarded-For and X-Forwarded-Proto are trusted, like 127.0.0.1/32")
	fs.StringVar(&o.Store, "store", "", "where jobs are kept, sqlite:`PATH` (default: in the data folder)")
	fs.Var((*prefixes)(&o.EgressAllow), "egress-allow", "`ranges` that http and fanout jobs and callbacks may reach although they are not public, like 127.0.0.0/8,10.0.0.0/8")
	fs.Var((*secrets)(&o.Secrets), "webhook-secret", "`secret` that signs callbacks without their own, whsec_…; two, separated by a comma, while one is replaced. Better set JOBHUB_WEBHOOK_SECRET, as other users of this machine can see flags")
	fs.StringVar(&o.Config, "config", "", "configuration `file`, reloaded when it changes and on SIGHUP")
	fs.DurationVar(&o.Lease, "lease", jobs.DefaultLease, "how long a worker may be silent before its jobs run elsewhere")
	fs.DurationVar(&o.Grace, "grace", 10*time.Second, "how long running jobs may finish when the hub is told to stop")
	if err := parseFlags(fs, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "jobhub serve: unexpected argument %q; it takes only flags\n", fs.Arg(0))
		return 2
	}
	fs.Visit(func(f *flag.Flag) {
		o.EgressPinned = o.EgressPinned || f.Name == "egress-allow"
		o.LeasePinned = o.LeasePinned || f.Name == "lease"
	})
	o.Logger = slog.New(slog.NewTextHandler(stderr, nil))
	slog.SetDefault(o.Logger) // also for what the standard library has to say
	reload := make(chan os.Signal, 1)
	if o.Config != "" {
		signal.Notify(reload, syscall.SIGHUP)
		defer signal.Stop(reload)
	}
	h, err := app.Start(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub serve:", err)
		return 1
	}
	fmt.Fprintf(stdout, "jobhub is ready at %s\n", h.URL())
	if h.Run(ctx, reload) != nil { // Run has logged it
		return 1
	}
	return 0
}
