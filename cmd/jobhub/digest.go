package main

import (
	"context"
	"fmt"
	"io"
	"jobhub/cmd/jobhub/demo"
	"os"

	"github.com/go-json-experiment/json"
)

const digestUsage = `Usage: jobhub work --kind file.digest -- jobhub digest

Reads {"path":"…"} from standard input, computes the SHA-256 of the file and its size
after gzip, and reports like any command of jobhub work.

`

func runDigest(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	args, code, ok := parseClient(newFlags("digest", digestUsage, stderr), args)
	if !ok {
		return code
	}
	var in struct {
		Path string `json:"path"`
	}
	if err := json.UnmarshalRead(os.Stdin, &in); err != nil || in.Path == "" || len(args) > 0 {
		fmt.Fprintln(stderr, `jobhub digest: want {"path":"…"} on standard input and no arguments`)
		return exDataErr
	}
	d, err := demo.Digest(ctx, in.Path, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub digest:", err)
		if os.IsNotExist(err) || os.IsPermission(err) {
			return exDataErr
		}
		return 1
	}
	fmt.Fprint(stdout, "::result ")
	json.MarshalWrite(stdout, d)
	fmt.Fprintln(stdout)
	return 0
}
