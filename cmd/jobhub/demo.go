package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"jobhub/web/client"
)

const demoUsage = `Usage: jobhub demo [flags]

Starts a hub on a temporary store, a sample API for it to call, and clients that
submit real jobs steadily: calls, fan-outs, batches, some with callbacks to the sample
API, and some through routes in front of it. There are schedules, too. With --files
there is a worker process as well, which works on real files.

A ledger checks from the outside that no job is lost. It balances the jobs that the
clients submitted. Those that the hub makes itself are checked, but not counted:
deliveries of callbacks, ticks of schedules, and jobs of a batch's items.

`

// settleTime is how long the demo waits at its end for jobs in flight.
const settleTime = 5 * time.Second

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs := newFlags("demo", demoUsage, stderr)
	addr := fs.String("addr", "127.0.0.1:8080", "`address` of the hub; another port is taken if it is in use")
	seed := fs.Uint64("seed", 42, "what the clients do is drawn from this `number`")
	rate := fs.Float64("rate", 4, "jobs submitted per second, by all clients")
	length := fs.Duration("for", 0, "end by itself after this time (default: run until ^C)")
	dir := fs.String("files", "", "also hash and compress the files of this `folder`, now and then one, in a worker process")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) > 0 || *rate <= 0 || *rate > 10_000 || *length < 0 {
		fmt.Fprintln(stderr, "jobhub demo: takes only flags, and a --rate above 0")
		return 2
	}
	var files []string
	if *dir != "" {
		var err error
		if files, err = demoFiles(*dir); err != nil {
			fmt.Fprintln(stderr, "jobhub demo: --files:", err)
			return 1
		}
	}
	api, stop, err := startSampleAPI(*seed)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub demo:", err)
		return 1
	}
	defer stop()
	crm, stopCRM, err := startSampleAPI(*seed) // another host, which receives callbacks
	if err != nil {
		fmt.Fprintln(stderr, "jobhub demo:", err)
		return 1
	}
	defer stopCRM()
	hub, err := startDemoHub(*addr, api, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub demo:", err)
		return 1
	}
	defer hub.stop()
	if len(files) > 0 {
		stopWorker, err := startFileWorker(hub.url)
		if err != nil {
			fmt.Fprintln(stderr, "jobhub demo:", err)
			return 1
		}
		defer stopWorker()
	}

	fmt.Fprintf(stdout, "Dashboard   %s/\nSample API  %s (called by the jobs, and behind %[1]s/shop/)\nTry         jobhub watch --all --server %[1]s\nStop        ^C\n\n", hub.url, api)
	if *length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *length)
		defer cancel()
	}
	d := &demo{client: &client.Client{Base: hub.url}, api: api, hooks: []string{api + mailHook, crm + crmHook}, seed: *seed, rate: *rate, files: files, ledger: newLedger("demo", untaggedQueues...), out: stdout}
	return d.run(ctx)
}

// demoHub is a hub on a store that goes away with it.
type demoHub struct {
	url  string
	stop func()
}

func startDemoHub(addr, api string, stdout io.Writer) (*demoHub, error) {
	dir, err := os.MkdirTemp("", "jobhub-demo-")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "jobhub.yaml")
	if err := os.WriteFile(config, demoConfig(api), 0o600); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	o := serveOptions{Addr: addr, Data: dir, Config: config, EgressAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Grace: time.Second}
	ctx := context.Background() // the hub outlives ^C by the time that the ledger needs to settle
	hub, err := startHub(ctx, o)
	if errors.Is(err, syscall.EADDRINUSE) {
		fmt.Fprintf(stdout, "%s is in use (by another hub?), so this demo takes another port.\n", addr)
		o.Addr = "127.0.0.1:0"
		hub, err = startHub(ctx, o)
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &demoHub{url: hub.URL(), stop: func() {
		ctx, cancel := context.WithTimeout(ctx, settleTime)
		defer cancel()
		if err := hub.Close(ctx); err != nil {
			slog.Warn("the demo's hub did not stop cleanly", "error", err)
		}
		os.RemoveAll(dir)
	}}, nil
}

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
}

// run submits until ctx is done, then waits for what is in flight and returns the exit code.
func (d *demo) run(ctx context.Context) int {
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWatching()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- d.watch(watching, ready) }()
	select {
	case <-ready:
	case err := <-ended:
		fmt.Fprintln(d.out, "The ledger can't watch the hub:", err)
		return 1
	}

	if err := d.putSchedules(ctx); err != nil {
		fmt.Fprintln(d.out, "The schedules can't be made:", err)
		return 1
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
	screen := newScreen(d.out)
	for done := false; !done; {
		select {
		case <-screen.tick.C:
			screen.show(d.ledger.balance(time.Now()))
		case err := <-ended:
			screen.end()
			fmt.Fprintln(d.out, "The ledger lost the hub:", err)
			return 1
		case <-ctx.Done():
			done = true
		}
	}
	clients.Wait()
	d.settle(screen)
	d.audit(watching)
	b := d.ledger.balance(time.Now())
	if b.own > 0 {
		screen.say(fmt.Sprintf("Besides, the hub made %d jobs itself: deliveries, ticks, and jobs of batches.", b.own))
	}
	screen.show(b)
	screen.end()
	d.ledger.printNotes(d.out, b)
	if !b.ok() {
		return 1
	}
	return 0
}

// watch feeds the ledger with all that the hub tells, and closes ready as soon as it listens.
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
		d.ledger.told(&m, time.Now())
	}
	return nil
}

// settle waits until nothing is in flight, but not for long: a delayed job may take its time.
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

// audit asks the hub for each job that is still in flight. One that has ended must have
// been announced by an event.
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
	time.Sleep(allowance) // the event may be on its way
	for _, id := range d.ledger.unfinished() {
		if state := ended[id]; state != "" {
			d.ledger.unheard(id, state)
		}
	}
}

// submit hands in a job and tells the ledger of the 202.
func (d *demo) submit(ctx context.Context, s client.Submission, key string) (id string, ok bool) {
	return d.handIn(ctx, s.Queue, func(ctx context.Context) (string, error) {
		j, err := d.client.Submit(ctx, s, key)
		return j.ID, err
	})
}

// handIn asks for a job and tells the ledger of the 202. Where the outcome is unknown
// it asks again: the key makes that safe. ^C does not cut a submission in half.
func (d *demo) handIn(ctx context.Context, queue string, ask func(context.Context) (id string, err error)) (id string, ok bool) {
	unknown := false // a later refusal does not say what became of an earlier try
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

// pause waits for the next submission of who makes that share of all; it reports false if
// ctx ended it.
func (d *demo) pause(ctx context.Context, rng *rand.Rand, share float64) bool {
	wait := min(rng.ExpFloat64(), 4) / (d.rate * share)
	return sleep(ctx, time.Duration(wait*float64(time.Second)))
}

// sleep reports false if ctx ended it.
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

// screen shows a balance: rewritten in place on a terminal, else a line now and then.
type screen struct {
	out     io.Writer
	inPlace bool
	tick    *time.Ticker
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, inPlace: terminal(out)}
	s.tick = time.NewTicker(5 * time.Second)
	if s.inPlace {
		s.tick.Reset(250 * time.Millisecond)
	}
	return s
}

func (s *screen) show(b balance) {
	if s.inPlace {
		// Without automatic wrapping, because a wrapped line can't be rewritten.
		fmt.Fprintf(s.out, "\r\x1b[?7l%s\x1b[K\x1b[?7h", b)
		return
	}
	fmt.Fprintln(s.out, b)
}

// say prints a line, over a balance that is rewritten.
func (s *screen) say(text string) {
	if s.inPlace {
		text = "\r" + text + "\x1b[K"
	}
	fmt.Fprintln(s.out, text)
}

// end leaves the last balance standing.
func (s *screen) end() {
	s.tick.Stop()
	if s.inPlace {
		fmt.Fprintln(s.out)
	}
}
