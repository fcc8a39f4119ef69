package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
	"jobhub/web/clip"
)

const watchUsage = `Usage: jobhub watch [JOB-ID | --queue Q | --all] [flags]

Prints events of jobs live, one per line. Watching a single job ends with the job; the
exit code is 0 if it succeeded. With --raw it prints the frames of the protocol instead.

`

func runWatch(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var f client.Filter
	var o client.WatchOptions
	fs, c := clientFlags("watch", watchUsage, stderr)
	fs.StringVar(&f.Queue, "queue", "", "watch the jobs of this `queue`")
	fs.BoolVar(&f.All, "all", false, "watch all jobs (the default)")
	raw := fs.Bool("raw", false, "print every WebSocket frame: > to the hub, < from it; further messages of a frame are indented")
	fs.Func("since", "`EPOCH:SEQ`: begin with what happened after this position", func(text string) (err error) {
		o.Since, err = client.ParsePosition(text)
		return err
	})
	fs.BoolVar(&o.Snapshot, "snapshot", false, "begin with the current state of the watched jobs (always so for a single job)")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) == 1 {
		f.Job, o.Snapshot = args[0], true
	}
	if len(args) > 1 || f.Job != "" && (f.All || f.Queue != "") || f.All && f.Queue != "" {
		fmt.Fprintln(stderr, "jobhub watch: want one of JOB-ID, --queue and --all")
		return 2
	}
	f.All = f.Job == "" && f.Queue == ""

	v := &viewer{out: stdout, colour: terminal(stdout) && os.Getenv("NO_COLOR") == "", wide: f.Job == ""}
	if *raw {
		o.Trace = func(sent bool, frame []byte) { printFrame(stdout, sent, frame) }
		v.out = io.Discard
	}
	o.Lost = func(err error, pause time.Duration) {
		fmt.Fprintf(stderr, "connection lost (%s); connecting again in %s\n", printable(err.Error()), pause.Round(time.Millisecond))
	}
	return v.watch(ctx, stderr, c, f, o)
}

// watch prints messages until the watched job ends, there is an error, or ctx ends.
func (v *viewer) watch(ctx context.Context, stderr io.Writer, c *client.Client, f client.Filter, o client.WatchOptions) int {
	var job client.Job // as it was before the watch began, if there is only one
	var err error
	if f.Job != "" {
		if job, err = c.Job(ctx, f.Job); err != nil {
			return fail(stderr, "watch", c.Base, err)
		}
		f.Job = job.ID
	}
	resume := o.Since
	for m, err := range c.Watch(ctx, f, o) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			printResume(stderr, f, resume)
			return fail(stderr, "watch", c.Base, err)
		}
		resume = m.Resume
		v.print(&m)
		switch {
		case f.Job == "":
		case m.Final():
			return exitCode(outcome(&m))
		case m.Type == client.Live && job.Final(): // it ended before the position to resume from
			return exitCode(job.State)
		}
	}
	printResume(stderr, f, resume)
	if f.Job != "" {
		return 130
	}
	return 0
}

func exitCode(outcome string) int {
	if outcome == "succeeded" {
		return 0
	}
	return 1
}

// outcome returns the final state of the job in m, or an empty text.
func outcome(m *client.Message) string {
	if !m.Final() {
		return ""
	}
	if m.Type == client.State {
		j, _ := m.Document()
		return j.State
	}
	return strings.TrimPrefix(m.Type, "job.")
}

func printResume(w io.Writer, f client.Filter, p client.Position) {
	if p == (client.Position{}) {
		return
	}
	what := f.Job
	switch {
	case f.All:
		what = "--all"
	case f.Queue != "":
		what = "--queue " + f.Queue
	}
	fmt.Fprintf(w, "To continue from here: jobhub watch %s --since %s\n", what, p)
}

func printFrame(w io.Writer, sent bool, frame []byte) {
	prefix := "< "
	if sent {
		prefix = "> "
	}
	fmt.Fprintf(w, "%s%s\n", prefix, bytes.ReplaceAll(bytes.TrimRight(frame, "\n"), []byte("\n"), []byte("\n  ")))
}

// viewer prints messages for people.
type viewer struct {
	out    io.Writer
	colour bool
	wide   bool // more than one job: each line names its job
}

var colours = map[string]string{"succeeded": "32", "failed": "31", "cancelled": "33", "started": "36", "running": "36", "retrying": "35",
	"progress": "2", "output": "2", client.Gap: "31", client.Subscribed: "31"}

func (v *viewer) print(m *client.Message) {
	name, detail := describe(m)
	if name == "" {
		return
	}
	at := m.At
	if at.IsZero() {
		at = time.Now()
	}
	label := fmt.Sprintf("%-16s", name)
	if code := colours[name]; v.colour && code != "" {
		label = "\x1b[" + code + "m" + label + "\x1b[0m"
	}
	line := fmt.Sprintf("%s %7d  %s", at.Local().Format("15:04:05.000"), m.Seq, label)
	if v.wide {
		line += fmt.Sprintf("  %-12s  %-36s", m.Queue, m.Job)
	}
	fmt.Fprintln(v.out, strings.TrimRight(line+"  "+printable(detail), " "))
}

// describe returns the name and the details of a message for its line; an empty name for a
// message that is not printed.
func describe(m *client.Message) (name, detail string) {
	name = strings.TrimPrefix(m.Type, "job.")
	var j client.Job
	if m.Lasting() || m.Type == client.State {
		json.Unmarshal(m.Data, &j) // a truncated event has no data, and then no detail either
	}
	switch m.Type {
	case client.Live:
		return "", ""
	case client.Subscribed:
		if !m.Missed() {
			return "", ""
		}
		return name, "the hub can't resume from there (" + m.Reason + "); this is the current state instead"
	case client.Gap:
		return name, fmt.Sprintf("events %d to %d are no longer available (%s); this is the current state instead", m.From, m.To, m.Reason)
	case client.State:
		m.Queue = j.Queue
		name, detail = j.State, why(j.Reason, j.Error)
		if j.Progress != nil && !j.Final() {
			detail = progress(*j.Progress)
		}
	case "job.scheduled", "job.retrying":
		if j.Error != nil {
			detail = j.Error.Error()
		}
		if !j.ScheduledAt.IsZero() {
			detail = "until " + j.ScheduledAt.Local().Format("15:04:05.000") + "  " + detail
		}
	case "job.queued":
		detail = strings.Join(append([]string{m.Kind}, m.Tags...), " ")
	case "job.started":
		detail = fmt.Sprintf("attempt %d", j.Attempt)
	case "job.progress":
		var p client.Progress
		json.Unmarshal(m.Data, &p)
		detail = progress(p)
	case "job.output":
		var o struct {
			Stream string `json:"stream"`
			Text   string `json:"text"`
			Base64 string `json:"base64"`
		}
		json.Unmarshal(m.Data, &o)
		detail = fmt.Sprintf("%s %q", o.Stream, clip.Shorten(o.Text, 120))
		if o.Base64 != "" {
			detail = fmt.Sprintf("%s %d bytes", o.Stream, len(o.Base64)*3/4)
		}
	case "job.succeeded":
		detail = clip.Shorten(string(j.Result), 120)
	case "job.failed", "job.cancelled":
		detail = why(j.Reason, j.Error)
	}
	return name, detail
}

func progress(p client.Progress) string {
	if p.Percent == nil {
		return p.Message
	}
	return fmt.Sprintf("%.0f %%  %s", *p.Percent, p.Message)
}
