package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
	"jobhub/web"
)

// runStandIn runs a hub like `jobhub serve`, which writes a CPU profile of itself from when it
// is ready until it is stopped.
func runStandIn(ctx context.Context, args []string, o *output) (_ []figure, err error) {
	fs := flag.NewFlagSet("jobhub-bench hub", flag.ContinueOnError)
	data := fs.String("data", "", "`folder` of the store")
	profile := fs.String("cpuprofile", "", "`file` for the profile")
	if err := fs.Parse(args); err != nil {
		return nil, errFlags
	}
	store, err := sqlite.Open(ctx, *data, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	h, err := hub.New(ctx, hub.Options{Log: store, Pace: -1})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	engine, err := engine.Open(ctx, engine.Options{Store: store, Handlers: map[string]jobs.Handler{"http": call.HTTP(call.Options{})}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx))) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	origin := "http://" + listener.Addr().String()
	server := &http.Server{Handler: web.New(web.Config{Engine: engine, Store: store, Hub: h, Origin: origin}), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10}
	go server.Serve(listener)
	defer server.Close()
	f, err := os.Create(*profile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	defer pprof.StopCPUProfile()
	fmt.Fprintf(o.stdout, "jobhub is ready at %s\n", origin)
	<-ctx.Done()
	return nil, nil
}
