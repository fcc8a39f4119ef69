package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"jobhub/cmd/jobhub/app"
	"jobhub/web/client"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Options are the options of a demo.
type Options struct {
	Addr    string        // address of the hub; if empty app.DefaultAddr, or another port if that is in use
	Seed    uint64        // of the random numbers that decide what the clients do
	Rate    float64       // jobs submitted per second by all clients, above 0
	Length  time.Duration // time after which it ends by itself; 0 for never
	Files   string        // folder whose files a worker process hashes and compresses; none if empty
	Version string

	Out     io.Writer // gets the balance of the ledger
	InPlace bool      // Out is a terminal, on which the balance is rewritten

	// Worker returns the command of a worker that takes jobs of FileKind from FileQueue of
	// the hub at that URL. It is needed with Files.
	Worker func(server string) (*exec.Cmd, error)
}

// Run runs the demo until ctx ends, and reports whether the ledger balances at the end. An
// error says why it did not start.
func Run(ctx context.Context, o Options) (balanced bool, err error) {
	var files []string
	if o.Files != "" {
		if files, err = listFiles(o.Files); err != nil {
			return false, fmt.Errorf("--files: %w", err)
		}
	}
	api, stop, err := startSampleAPI(o.Seed)
	if err != nil {
		return false, err
	}
	defer stop()
	crm, stopCRM, err := startSampleAPI(o.Seed) // another host, which receives callbacks
	if err != nil {
		return false, err
	}
	defer stopCRM()
	hub, err := startHub(&o, api)
	if err != nil {
		return false, err
	}
	defer hub.stop()
	if len(files) > 0 {
		cmd, err := o.Worker(hub.url)
		if err != nil {
			return false, err
		}
		stopWorker, err := startWorker(cmd)
		if err != nil {
			return false, err
		}
		defer stopWorker()
	}

	fmt.Fprintf(o.Out, "Dashboard   %s/\nSample API  %s (called by the jobs, and behind %[1]s/shop/)\nTry         jobhub watch --all --server %[1]s\nStop        ^C\n\n", hub.url, api)
	if o.Length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.Length)
		defer cancel()
	}
	d := &demo{client: &client.Client{Base: hub.url}, api: api, hooks: []string{api + mailHook, crm + crmHook}, seed: o.Seed, rate: o.Rate, files: files, ledger: newLedger("demo", untaggedQueues...), out: o.Out, inPlace: o.InPlace}
	return d.run(ctx), nil
}

// tempHub is a hub with a temporary store.
type tempHub struct {
	url  string
	stop func()
}

func startHub(o *Options, api string) (*tempHub, error) {
	dir, err := os.MkdirTemp("", "jobhub-demo-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "jobhub.yaml")
	if err := os.WriteFile(file, config(api), 0o600); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	options := app.Options{Addr: cmp.Or(o.Addr, app.DefaultAddr), Data: dir, Config: file, Version: o.Version, EgressAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Grace: time.Second}
	ctx := context.Background() // after ^C the hub runs on until the ledger is finished
	running, err := app.Start(ctx, options)
	switch inUse := errors.Is(err, syscall.EADDRINUSE); {
	case inUse && o.Addr != "":
		err = fmt.Errorf("%s is in use; choose another --addr, or leave it out to have a free port taken", o.Addr)
	case inUse:
		fmt.Fprintf(o.Out, "%s is in use (by another hub?), so this demo takes another port.\n", options.Addr)
		options.Addr = "127.0.0.1:0"
		running, err = app.Start(ctx, options)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &tempHub{url: running.URL(), stop: func() {
		ctx, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		if err := running.Close(ctx); err != nil {
			slog.Warn("the demo's hub did not stop cleanly", "error", err)
		}
		os.RemoveAll(dir)
	}}, nil
}
