package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// postgresFolder is where the programs of PostgreSQL are: in the PATH, or where Debian
// has them. It is empty if there are none.
func postgresFolder() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// postgresUser is the user for PostgreSQL, which refuses to run as root; nil for the user of
// this process.
func postgresUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody: run this as another user")
}

func missingPostgres() string {
	if postgresFolder() == "" {
		return "there is no initdb in the PATH or in /usr/lib/postgresql; install it (Debian: apt-get install postgresql)"
	}
	if _, err := postgresUser(); err != nil {
		return err.Error()
	}
	return ""
}

// postgresBackend is a PostgreSQL of its own.
type postgresBackend struct {
	*server
	url    string
	pool   *pgxpool.Pool
	insert *river.Client[pgx.Tx]
}

func openPostgres(ctx context.Context, p *place) (_ backend, err error) {
	data, err := p.sub()
	if err != nil {
		return nil, err
	}
	as, err := postgresUser()
	if err != nil {
		return nil, err
	}
	if as != nil {
		if err := errors.Join(os.Chown(data, int(as.Uid), int(as.Gid)), os.Chmod(p.folder, 0o711)); err != nil {
			return nil, err
		}
	}
	bin := postgresFolder()
	init := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "bench", "--auth=trust", "-E", "UTF8", "--no-locale")
	init.Dir = "/"
	init.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	if text, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb in %s, which its user must be able to reach: %w\n%s", data, err, text)
	}
	addr, port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &server{addr: addr, as: as, stopSignal: syscall.SIGINT, killSignal: syscall.SIGQUIT, args: []string{filepath.Join(bin, "postgres"), "-D", data, "-p", port,
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "shared_buffers=512MB", "-c", "wal_buffers=64MB",
		"-c", "max_wal_size=8GB", "-c", "checkpoint_timeout=15min", "-c", "wal_level=minimal", "-c", "max_wal_senders=0"}}
	b := &postgresBackend{server: s, url: "postgres://bench@" + addr + "/postgres?sslmode=disable"}
	if b.pool, err = newPool(ctx, b.url); err != nil {
		return nil, err
	}
	s.ready = b.pool.Ping
	if err = s.start(ctx); err == nil {
		err = b.migrate(ctx)
	}
	if err != nil {
		b.kill()
		return nil, err
	}
	return b, nil
}

// newPool has the number of connections that was fastest on few processors; with more,
// PostgreSQL is slower.
func newPool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 64
	return pgxpool.NewWithConfig(ctx, config)
}

func (b *postgresBackend) migrate(ctx context.Context) error {
	driver := riverpgxv5.New(b.pool)
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		_, err = m.Migrate(ctx, rivermigrate.DirectionUp, nil)
	}
	if err == nil {
		b.insert, err = river.NewClient(driver, &river.Config{Logger: slog.New(slog.DiscardHandler)})
	}
	return err
}

func (b *postgresBackend) address() string { return b.url }

func (b *postgresBackend) client(ctx context.Context) (func(int) error, func(), error) {
	return func(n int) error {
		args := riverArgs{Order: json.RawMessage(input)}
		if n == 1 {
			_, err := b.insert.Insert(ctx, args, nil)
			return err
		}
		many := make([]river.InsertManyParams, n)
		for i := range many {
			many[i].Args = args
		}
		inserted, err := b.insert.InsertManyFast(ctx, many)
		if err == nil && inserted != n {
			err = fmt.Errorf("%d of %d jobs were inserted", inserted, n)
		}
		return err
	}, func() {}, nil
}

func (b *postgresBackend) kept(ctx context.Context) (finished, others int, err error) {
	b.pool.Close()
	if err := b.stop(); err != nil {
		return 0, 0, err
	}
	if b.pool, err = newPool(ctx, b.url); err != nil {
		return 0, 0, err
	}
	b.ready = b.pool.Ping
	if err := b.start(ctx); err != nil {
		return 0, 0, err
	}
	const once = `state = 'completed' AND attempt = 1`
	err = b.pool.QueryRow(ctx, `SELECT count(*) FILTER (WHERE `+once+`), count(*) FILTER (WHERE NOT (`+once+`)) FROM river_job`).Scan(&finished, &others)
	b.pool.Close()
	return finished, others, errors.Join(err, b.stop())
}

func (b *postgresBackend) kill() {
	b.pool.Close()
	b.server.kill()
}

type riverArgs struct {
	Order json.RawMessage `json:"order"`
}

func (riverArgs) Kind() string { return kind }

// workRiver has the settings of River's own benchmark.
func workRiver(ctx context.Context, url string, runs *atomic.Int64) (*staff, error) {
	pool, err := newPool(ctx, url)
	if err != nil {
		return nil, err
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[riverArgs]) error {
		runs.Add(1)
		return nil
	}))
	c, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		FetchCooldown: 2 * time.Millisecond, FetchPollInterval: 20 * time.Millisecond,
		Queues:  map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 1000}},
		Workers: workers,
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	// Its event comes when the end of a job is committed, not when its function returns.
	// Events that don't fit would be lost, and the check at the end would fail.
	events, cancel := c.SubscribeConfig(&river.SubscribeConfig{ChanSize: 100_000, Kinds: []river.EventKind{river.EventKindJobCompleted}})
	var done atomic.Int64
	var counting sync.WaitGroup
	counting.Go(func() {
		for range events {
			done.Add(1)
		}
	})
	if err := c.Start(ctx); err != nil {
		cancel()
		pool.Close()
		return nil, err
	}
	return &staff{
		finished: func() (int, error) { return int(done.Load()), nil },
		stop: func() error {
			err := c.Stop(ctx)
			cancel()
			counting.Wait()
			pool.Close()
			return err
		},
	}, nil
}
