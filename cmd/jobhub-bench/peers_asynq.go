package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const asynqQueue = "default"

func missingRedis() string {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return "there is no redis-server in the PATH; install it (Debian: apt-get install redis-server)"
	}
	return ""
}

// redisBackend is a Redis of its own with an append-only file.
type redisBackend struct {
	*server
	clients *redis.Client
}

func openRedis(fsync string) func(context.Context, *place) (backend, error) {
	return func(ctx context.Context, p *place) (backend, error) {
		data, err := p.sub()
		if err != nil {
			return nil, err
		}
		addr, port, err := freePort()
		if err != nil {
			return nil, err
		}
		// Only the append-only file is written, and it is not rewritten during the measurement.
		s := &server{addr: addr, args: []string{"redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", data,
			"--appendonly", "yes", "--appendfsync", fsync, "--auto-aof-rewrite-percentage", "0", "--save", ""}}
		b := &redisBackend{s, redis.NewClient(&redis.Options{Addr: addr, PoolSize: 64})}
		s.ready = func(ctx context.Context) error { return b.clients.Ping(ctx).Err() }
		if err := s.start(ctx); err != nil {
			return nil, errors.Join(err, b.clients.Close())
		}
		return b, nil
	}
}

func (b *redisBackend) address() string { return b.addr }

func (b *redisBackend) client(ctx context.Context) (func(int) error, func(), error) {
	c := asynq.NewClientFromRedisClient(b.clients)
	return func(n int) error {
		for range n {
			if _, err := c.EnqueueContext(ctx, asynq.NewTask(kind, []byte(input))); err != nil {
				return err
			}
		}
		return nil
	}, func() {}, nil
}

// kept reads Asynq's own counters: finished tasks are deleted, as is its default.
func (b *redisBackend) kept(ctx context.Context) (finished, others int, err error) {
	if err := errors.Join(b.stop(), b.start(ctx)); err != nil {
		return 0, 0, err
	}
	info, err := asynq.NewInspectorFromRedisClient(b.clients).GetQueueInfo(asynqQueue)
	if err != nil {
		return 0, 0, err
	}
	return info.ProcessedTotal - info.FailedTotal, info.Size + info.FailedTotal, b.stop()
}

func (b *redisBackend) kill() {
	b.clients.Close()
	b.server.kill()
}

// workAsynq has several servers, because each takes tasks one by one: a single one would wait
// for Redis most of the time.
func workAsynq(ctx context.Context, addr string, runs *atomic.Int64) (*staff, error) {
	const servers = 8
	pool := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 128})
	handle := asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		runs.Add(1)
		return nil
	})
	var all []*asynq.Server
	stop := func() error {
		for _, s := range all {
			s.Shutdown()
		}
		return nil // the pool is read once more and ends with the process
	}
	for range servers {
		s := asynq.NewServerFromRedisClient(pool, asynq.Config{Concurrency: 1000 / servers, TaskCheckInterval: 2 * time.Millisecond, LogLevel: asynq.ErrorLevel})
		if err := s.Start(handle); err != nil {
			return nil, errors.Join(err, stop())
		}
		all = append(all, s)
	}
	key := fmt.Sprintf("asynq:{%s}:processed", asynqQueue) // counts in the transaction that ends a task
	return &staff{stop: stop, finished: func() (int, error) {
		text, err := pool.Get(ctx, key).Result()
		if errors.Is(err, redis.Nil) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(text)
	}}, nil
}
