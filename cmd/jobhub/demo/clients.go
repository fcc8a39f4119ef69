package demo

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"jobhub/web/client"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// settleTime is how long the demo waits at its end for jobs in flight.
const settleTime = 5 * time.Second

// demo is the clients of a hub and their ledger.
type demo struct {
	client *client.Client
	api    string   // URL
	hooks  []string // URLs of receivers of callbacks
	seed   uint64
	rate   float64  // submissions per second, besides those for files
	files  []string // for the worker process
	ledger *ledger
	out    io.Writer

	inPlace bool // the balance is rewritten on out, which is a terminal
}

// run submits jobs until ctx is done, then waits for the unfinished ones and reports whether
// the ledger balances.
func (d *demo) run(ctx context.Context) (balanced bool) {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.watch(watching, ready) }()
	select {
	case <-ready:
	case err := <-ended:
		fmt.Fprintln(d.out, "The ledger can't watch the hub:", err)
		return false
	}

	if err := d.putSchedules(ctx); err != nil {
		fmt.Fprintln(d.out, "The schedules can't be created:", err)
		return false
	}
	var clients sync.WaitGroup
	for _, a := range actors {
		clients.Go(func() { d.act(ctx, a, &clients) })
	}
	clients.Go(func() { d.actBatches(ctx) })
	clients.Go(func() { d.actRoutes(ctx) })
	clients.Go(func() { d.browse(ctx) })
	if len(d.files) > 0 {
		clients.Go(func() { d.actFiles(ctx) })
	}
	screen := newScreen(d.out, d.inPlace)
	for done := false; !done; {
		select {
		case <-screen.tick.C:
			screen.show(d.ledger.balance(time.Now()))
		case err := <-ended:
			screen.end()
			fmt.Fprintln(d.out, "The ledger lost the hub:", err)
			return false
		case <-ctx.Done():
			done = true
		}
	}
	clients.Wait()
	d.settle(screen)
	d.audit(watching)
	b := d.ledger.balance(time.Now())
	if b.own > 0 {
		screen.say(fmt.Sprintf("In addition, the hub submitted %d jobs itself: deliveries, and jobs of schedules and batches.", b.own))
	}
	screen.show(b)
	screen.end()
	d.ledger.printNotes(d.out, b)
	return b.ok()
}

// watch gives all messages of the hub to the ledger, and closes ready once it is subscribed.
func (d *demo) watch(ctx context.Context, ready chan struct{}) error {
	var once sync.Once
	lost := func(err error, pause time.Duration) {
		slog.Warn("the ledger lost its connection", "error", err, "pause", pause)
	}
	for m, err := range d.client.Watch(ctx, client.Filter{All: true}, client.WatchOptions{Repeated: d.ledger.repeated, Lost: lost}) {
		if err != nil {
			return err
		}
		if m.Type == client.Subscribed {
			once.Do(func() { close(ready) })
		}
		d.ledger.received(&m, time.Now())
	}
	return nil
}

// settle waits until no job is in flight, at most for settleTime, as a job may have a long delay.
func (d *demo) settle(screen *screen) {
	for deadline := time.Now().Add(settleTime); time.Now().Before(deadline); {
		b := d.ledger.balance(time.Now())
		if screen.inPlace {
			screen.show(b)
		}
		if b.inFlight+b.unseen+b.unanswered == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// audit reads each job from the hub that is still in flight for the ledger. If it has ended,
// there must be an event.
func (d *demo) audit(ctx context.Context) {
	ended := map[string]string{}
	for _, id := range d.ledger.unfinished() {
		if j, err := d.client.Job(ctx, id); err != nil {
			slog.Warn("the ledger can't ask for a job", "job", id, "error", err)
		} else if j.Final() {
			ended[id] = j.State
		}
	}
	if len(ended) == 0 {
		return
	}
	time.Sleep(allowance) // the event may still arrive
	for _, id := range d.ledger.unfinished() {
		if state := ended[id]; state != "" {
			d.ledger.endedWithoutEvent(id, state)
		}
	}
}

// submit submits a job and enters the 202 into the ledger.
func (d *demo) submit(ctx context.Context, s client.Submission, key string) (id string, ok bool) {
	return d.untilKnown(ctx, s.Queue, func(ctx context.Context) (string, error) {
		j, err := d.client.Submit(ctx, s, key)
		return j.ID, err
	})
}

// untilKnown calls ask, which submits a job, and enters the 202 into the ledger. While the
// outcome is unknown it asks again: the key makes that safe. ^C does not interrupt it.
func (d *demo) untilKnown(ctx context.Context, queue string, ask func(context.Context) (id string, err error)) (id string, ok bool) {
	unknown := false // a later refusal says nothing about the outcome of an earlier try
	for try := 1; ; try++ {
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		id, err := ask(asking)
		cancel()
		if err == nil {
			d.ledger.accepted(id, time.Now())
			return id, true
		}
		unknown = unknown || client.Unknown(err)
		if !unknown || try == 5 {
			slog.Warn("a submission was not accepted", "queue", queue, "error", err, "tries", try)
			return "", false
		}
		time.Sleep(time.Duration(try) * 200 * time.Millisecond)
	}
}

// pause waits until the next submission of a client with this share of all submissions; it
// returns false if ctx ended.
func (d *demo) pause(ctx context.Context, rng *rand.Rand, share float64) bool {
	wait := min(rng.ExpFloat64(), 4) / (d.rate * share)
	return sleep(ctx, time.Duration(wait*float64(time.Second)))
}

// sleep returns false if ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// stream returns the random numbers of one actor, independent of those of the others.
func stream(seed uint64, actor string) *rand.Rand {
	h := fnv.New64a()
	io.WriteString(h, actor)
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
