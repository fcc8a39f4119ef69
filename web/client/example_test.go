package client_test

import (
	"context"
	"fmt"

	"jobhub/jobs"
	"jobhub/web/client"
)

// reporter has the methods that the Run of a handler in the hub and the Run of a worker share.
type reporter interface {
	Progress(percent float64, message string)
	Checkpoint(v any) error
	Output(stream string, p []byte)
	Log(text string)
}

func greet(ctx context.Context, run reporter, name string) (string, error) {
	run.Progress(50, "half done")
	return "hello, " + name, nil
}

// One function can run jobs as a handler in the hub and as a worker elsewhere.
func ExampleTyped() {
	inHub := map[string]jobs.Handler{
		"greet": jobs.Typed(func(ctx context.Context, run jobs.Run, name string) (string, error) { return greet(ctx, run, name) }),
	}
	worker := client.Worker{Kinds: []string{"greet"}, Handle: client.Typed(
		func(ctx context.Context, run *client.Run, name string) (string, error) { return greet(ctx, run, name) },
	)}
	fmt.Println(len(inHub), worker.Kinds)
	// Output: 1 [greet]
}
