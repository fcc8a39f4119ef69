package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/web"
	"jobhub/web/config"
)

// configured applies the configuration file to a running hub, again after each change. A file
// with an error changes nothing: the hub keeps the configuration before, and reports the error
// in its log, at /readyz and in the dashboard. After start, one goroutine uses it.
type configured struct {
	path    string
	options Options
	engine  *engine.Engine
	web     *web.Server
	egress  *egress.Ranges
	log     *slog.Logger

	outbound *egress.OutboundSetting
	own      *egress.Own

	now   *config.Config
	seen  []byte // the newest content, valid or not
	state web.ConfigState

	reloads chan struct{} // requests to read the file, changed or not
	stop    context.CancelFunc
	loop    sync.WaitGroup
}

// settleTime is how long a file must be unchanged before it is read: editors write in pieces.
const settleTime = 100 * time.Millisecond

// start applies the first configuration, and follows the file from then on.
func (c *configured) start(ctx context.Context, first *config.Config) error {
	c.now, c.reloads = &config.Config{}, make(chan struct{}, 1)
	c.seen = first.Source
	if err := c.apply(ctx, first); err != nil {
		return err
	}
	changes, err := fsnotify.NewWatcher()
	if err == nil {
		// Watch the folder: most editors replace the file, and Kubernetes the target of its link.
		err = changes.Add(filepath.Dir(c.path))
	}
	if err != nil {
		c.log.Warn("the configuration file can't be watched; after a change send SIGHUP", "file", c.path, "error", err)
	}
	background, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.loop.Go(func() {
		if changes != nil {
			defer changes.Close()
		}
		c.follow(background, changes)
	})
	return nil
}

// close stops following the file.
func (c *configured) close() {
	if c != nil && c.stop != nil {
		c.stop()
		c.loop.Wait()
	}
}

// reload requests that the file is read. It does not block.
func (c *configured) reload() {
	if c == nil {
		return
	}
	select {
	case c.reloads <- struct{}{}:
	default:
	}
}

func (c *configured) follow(ctx context.Context, changes *fsnotify.Watcher) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if changes != nil {
		events, errs = changes.Events, changes.Errors
	}
	quiet := time.NewTimer(settleTime) // the file may have changed before it was watched
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if e.Op != fsnotify.Chmod {
				quiet.Reset(settleTime)
			}
		case err := <-errs:
			c.log.Warn("watching the configuration file", "file", c.path, "error", err)
			quiet.Reset(settleTime)
		case <-quiet.C:
			c.read(ctx, false)
		case <-c.reloads:
			c.read(ctx, true)
		}
	}
}

// read reads the file, and applies it if it is valid and has changed or always is set.
func (c *configured) read(ctx context.Context, always bool) {
	data, err := os.ReadFile(c.path)
	switch {
	case err == nil && bytes.Equal(data, c.seen) && !always:
		return
	case err == nil:
		c.seen = data
	case c.state.Err != nil && !always: // still not readable
		return
	}
	var next *config.Config
	var notes []string
	if err == nil {
		next, notes, err = decodeConfig(c.path, data, c.options.egressFlag())
	}
	if err == nil {
		if loops := next.Loops(c.own); len(loops) > 0 {
			err = loops
		}
	}
	for _, note := range notes {
		c.log.Warn(note)
	}
	if err == nil {
		err = c.apply(ctx, next)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	c.state.Err, c.state.FailedAt = err, time.Now()
	c.web.ReportConfig(c.state)
	c.log.Error("the configuration file is NOT in force; the hub keeps the one before", "file", c.path, "loaded_at", c.state.LoadedAt)
	if all, ok := errors.AsType[config.Errors](err); ok {
		for _, e := range all {
			c.log.Error("configuration", "error", e)
		}
		return
	}
	c.log.Error("configuration", "error", err)
}

// apply applies a configuration. The steps that can fail come first: callbacks, which may need
// the new egress ranges, and writes to the store.
func (c *configured) apply(ctx context.Context, next *config.Config) (err error) {
	if !c.options.EgressPinned {
		c.egress.Set(next.EgressAllow)
		defer func() {
			if err != nil {
				c.egress.Set(c.now.EgressAllow)
			}
		}()
	}
	for name, queue := range next.Queues {
		if old, was := c.now.Queues[name]; was && reflect.DeepEqual(old, queue) {
			continue // keep what was changed over HTTP since then
		}
		if err := c.setCallbacks(ctx, name, queue.Callbacks); err != nil {
			return fmt.Errorf("queues.%s: %w", name, err)
		}
		set := c.engine.Queues.Settings(jobs.DefaultTenant, name)
		want := set
		queue.ApplyTo(&want)
		if reflect.DeepEqual(want, set) {
			continue
		}
		if err := c.engine.Queues.Configure(ctx, jobs.DefaultTenant, name, func(s *jobs.QueueSettings) error { queue.ApplyTo(s); return nil }); err != nil {
			return err
		}
	}
	if c.state.LoadedAt.IsZero() {
		c.log.Info("configuration in force", "file", c.path, "routes", len(next.Routes), "queues", len(next.Queues))
	} else {
		c.log.Info("configuration reloaded", "file", c.path, "routes", len(next.Routes), "queues", len(next.Queues))
		if next.Lease != c.now.Lease && !c.options.LeasePinned {
			c.log.Warn("workers.lease changed, which takes effect at the next start", "lease", next.Lease)
		}
		if next.Otel != c.now.Otel {
			c.log.Warn("otel.endpoint changed, which takes effect at the next start", "endpoint", next.Otel)
		}
	}
	c.engine.SetLimits(next.Limits.NameLimits())
	c.engine.Mask(next.Mask)
	c.outbound.Set(next.HTTP.Outbound)
	if err := c.web.Apply(web.Settings{Plans: next.Plans, Issuers: next.Issuers, MaxInput: next.HTTP.MaxInput, Hosts: next.Hosts, Origins: next.Origins, Proxies: next.Proxies, Dashboard: next.Dashboard, KeyHeader: next.KeyHeader, ConnectionsPerAddress: next.Limits.ConnectionsPerAddress}, next.Routes); err != nil {
		return err
	}
	c.now, c.state = next, web.ConfigState{File: c.path, LoadedAt: time.Now()}
	c.web.ReportConfig(c.state)
	return nil
}

// setCallbacks sets the callbacks of a queue; that creates the queue if it has any.
func (c *configured) setCallbacks(ctx context.Context, queue string, list []jobs.Callback) error {
	if len(list) == 0 && len(c.engine.Queues.Settings(jobs.DefaultTenant, queue).Callbacks) == 0 {
		return nil
	}
	return c.engine.Queues.SetCallbacks(ctx, jobs.DefaultTenant, queue, list)
}
