package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// wire is one HTTP/1.1 keep-alive connection. It writes a whole request at once and uses
// little CPU, because it shares the processors with the hub that it measures.
type wire struct {
	addr string
	conn net.Conn
	in   *bufio.Reader
	out  []byte
}

func dial(addr string) (*wire, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &wire{addr: addr, conn: conn, in: bufio.NewReaderSize(conn, 8<<10)}, nil
}

func (w *wire) close() { w.conn.Close() }

// call sends a request and returns the body of the answer, which must have the status.
func (w *wire) call(method, path string, body []byte, status int) ([]byte, error) {
	w.out = append(append(append(append(w.out[:0], method...), ' '), path...), " HTTP/1.1\r\nHost: "...)
	w.out = append(w.out, w.addr...)
	if body != nil {
		w.out = append(w.out, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		w.out = strconv.AppendInt(w.out, int64(len(body)), 10)
	}
	w.out = append(append(w.out, "\r\n\r\n"...), body...)
	if err := w.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := w.conn.Write(w.out); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != status {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	if res.Close {
		return nil, fmt.Errorf("%s %s: the hub closes the connection", method, path)
	}
	return answer, nil
}

// submit submits a job and returns its id.
func (w *wire) submit(body []byte) (id string, err error) {
	answer, err := w.call("POST", "/v1/jobs", body, http.StatusAccepted)
	if err != nil {
		return "", err
	}
	const front = `{"id":"`
	if len(answer) < len(front)+36 || string(answer[:len(front)]) != front {
		return "", fmt.Errorf("a 202 without the id of a job: %s", answer)
	}
	return string(answer[len(front) : len(front)+36]), nil
}

// queue returns how many jobs of a queue are in each state, as the hub says.
func (w *wire) queue(name string) (map[string]int, error) {
	answer, err := w.call("GET", "/v1/queues", nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	var list struct {
		Queues []struct {
			Name   string
			States map[string]int
		}
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return nil, err
	}
	for _, q := range list.Queues {
		if q.Name == name {
			return q.States, nil
		}
	}
	return nil, fmt.Errorf("the hub has no queue %s", name)
}

// expectQueued returns an error unless a queue holds exactly n jobs, all of them queued.
func (w *wire) expectQueued(name string, n int) error {
	states, err := w.queue(name)
	if err != nil {
		return err
	}
	sum := 0
	for _, jobs := range states {
		sum += jobs
	}
	if sum != n || states["queued"] != n {
		return fmt.Errorf("%d jobs were accepted in queue %s, but the hub counts %v", n, name, states)
	}
	return nil
}
