package batch

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/web/api"
	"jobhub/web/gateway"
	"jobhub/web/rest"
)

// This file reads batches and answers POST /batch. run.go runs the items, job.go asynchronous
// batches.

const (
	Kind          = "batch"   // of the jobs that run asynchronous batches
	batchTimeout  = time.Hour // of an asynchronous batch
	batchAttempts = 3         // each continues where the one before ended
)

// batchDocument is the JSON of a batch.
type batchDocument struct {
	Requests       *batchItems `json:"requests"`
	AtomicityGroup jobs.Value  `json:"atomicity_group"`
}

// batchItems stops decoding after rest.MaxItems items.
type batchItems []batchItem

var errTooManyItems = errors.New("too many items")

func (list *batchItems) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != jsontext.KindBeginArray {
		return json.UnmarshalDecode(d, (*[]batchItem)(list))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	*list = batchItems{}
	for d.PeekKind() != jsontext.KindEndArray {
		if len(*list) == rest.MaxItems {
			return errTooManyItems
		}
		var item batchItem
		if err := json.UnmarshalDecode(d, &item); err != nil {
			return err
		}
		*list = append(*list, item)
	}
	_, err := d.ReadToken()
	return err
}

// batchItem is one request of a batch. An error in its request becomes the answer to this item;
// an error in its id or dependencies refuses the whole batch.
type batchItem struct {
	ID             *string           `json:"id"`
	Method         string            `json:"method"`
	Path           string            `json:"path"`
	URL            string            `json:"url"`
	Headers        map[string]string `json:"headers"`
	Body           jobs.Value        `json:"body"` // a string is sent as text, {"base64":"…"} as bytes, anything else as JSON
	DependsOn      []string          `json:"depends_on"`
	AtomicityGroup jobs.Value        `json:"atomicity_group"`

	after []int // indexes of the items in DependsOn
}

// target returns the path with its query; url is another name of path.
func (i *batchItem) target() string { return i.Path + i.URL }

// decodeBatch reads a batch. Its error is a *jobs.Problem.
func decodeBatch(body []byte) ([]batchItem, error) {
	var doc batchDocument
	err := json.Unmarshal(body, &doc, json.RejectUnknownMembers(true)) // no check of the depth: a stored batch has passed it
	if errors.Is(err, errTooManyItems) {
		return nil, jobs.NewProblem(jobs.TooLarge, "Batch too large", "A batch takes up to %d requests; send several.", rest.MaxItems)
	}
	if err != nil {
		return nil, jobs.DecodeProblem(err)
	}
	if doc.Requests == nil {
		return nil, rest.InvalidMember("/requests", "is required: an array of requests")
	}
	items := *doc.Requests
	if doc.AtomicityGroup != nil {
		return nil, malformedBatch("/atomicity_group", "is not supported: HTTP requests can't be rolled back; leave it out")
	}
	ids := make(map[string]int, len(items))
	for i := range items {
		item := &items[i]
		at := fmt.Sprintf("/requests/%d", i)
		if item.AtomicityGroup != nil {
			return nil, malformedBatch(at+"/atomicity_group", "is not supported: HTTP requests can't be rolled back; leave it out")
		}
		if item.ID != nil {
			if *item.ID == "" || len(*item.ID) > 128 {
				return nil, malformedBatch(at+"/id", "must be 1 to 128 bytes")
			}
			if first, taken := ids[*item.ID]; taken {
				return nil, malformedBatch(at+"/id", fmt.Sprintf("is also the id of request %d", first))
			}
			ids[*item.ID] = i
		}
		if isBatch(item.target()) {
			return nil, malformedBatch(at+"/path", "a batch can't contain another batch")
		}
	}
	for i := range items {
		for k, id := range items[i].DependsOn {
			on, known := ids[id]
			if !known {
				return nil, malformedBatch(fmt.Sprintf("/requests/%d/depends_on/%d", i, k), "is not the id of a request in this batch")
			}
			items[i].after = append(items[i].after, on)
		}
	}
	if i := findCycle(items); i >= 0 {
		return nil, malformedBatch(fmt.Sprintf("/requests/%d/depends_on", i), "is part of a cycle")
	}
	return items, nil
}

// malformedBatch returns the problem for one member of a batch.
func malformedBatch(pointer, detail string) error {
	p := jobs.NewProblem(jobs.BadMessage, "Malformed batch", "See errors for what to correct; nothing was run.")
	p.Errors = []jobs.MemberError{{Pointer: pointer, Detail: detail}}
	return p
}

// isBatch reports whether a path with a query is that of the batch endpoint.
func isBatch(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	if strings.Contains(path, "%") {
		path, _ = url.PathUnescape(path)
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	path = strings.TrimSuffix(path, "/")
	return path == "/batch" || path == "/v1/batch"
}

// findCycle returns the index of an item that depends on a cycle of items, or -1.
func findCycle(items []batchItem) int {
	pending := make([]int, len(items)) // how many unvisited items each depends on
	dependents := dependentsOf(items)
	var free []int
	for i := range items {
		if pending[i] = len(items[i].after); pending[i] == 0 {
			free = append(free, i)
		}
	}
	for len(free) > 0 {
		i := free[len(free)-1]
		free = free[:len(free)-1]
		for _, d := range dependents[i] {
			if pending[d]--; pending[d] == 0 {
				free = append(free, d)
			}
		}
	}
	for i := range pending {
		if pending[i] > 0 {
			return i
		}
	}
	return -1
}

// dependentsOf returns, by index of an item, the items that depend on it.
func dependentsOf(items []batchItem) map[int][]int {
	dependents := map[int][]int{}
	for i := range items {
		for _, on := range items[i].after {
			dependents[on] = append(dependents[on], i)
		}
	}
	return dependents
}

// postBatch is POST /batch and POST /v1/batch.
func (s *Server) postBatch(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.ReadJSON(w, r, rest.MaxBatch)
	if err == nil {
		err = jobs.CheckDepth(body)
	}
	if err != nil {
		return err
	}
	key, err := rest.IdempotencyKey(r, body)
	if err != nil {
		return err
	}
	async, err := wantsAsync(r)
	if err != nil {
		return err
	}
	items, err := decodeBatch(body)
	if err != nil {
		return err
	}
	if async {
		return s.submitBatch(w, r, body, key)
	}
	w.Header().Add("Vary", "Prefer")
	b := newBatch(s, r, items, rest.MaxAnswers)
	defer b.releaseAll()
	if key != nil { // a repeated batch returns the jobs of the first one
		b.key = itemKeys(key.Key)
	}
	ctx, cancel := s.WithClientGrace(r.Context())
	defer cancel()
	b.run(ctx)
	return rest.WriteJSON(w, http.StatusOK, b.document())
}

// submitBatch submits an asynchronous batch as a job.
func (s *Server) submitBatch(w http.ResponseWriter, r *http.Request, body []byte, key *jobs.Key) error {
	input := jobs.Value(body)
	if err := input.Compact(); err != nil {
		return jobs.DecodeProblem(err)
	}
	wait, waiting, err := api.PreferredWait(r)
	if err != nil {
		return err
	}
	return s.api.Accept(w, r, jobs.Spec{Kind: Kind, Queue: Kind, Input: input, Timeout: batchTimeout, MaxAttempts: batchAttempts,
		Tenant: rest.Tenant(r), Caller: rest.Caller(r), Key: key, Via: jobs.Via{Trace: gateway.Trace(r.Header)}}, api.AcceptOptions{Async: true, Waiting: waiting, Wait: wait, Body: s.AcceptedBody})
}

// wantsAsync reports whether a request asks for an asynchronous batch: by ?async=true or
// Prefer: respond-async (RFC 7240).
func wantsAsync(r *http.Request) (bool, error) {
	switch r.URL.Query().Get("async") {
	case "true":
		return true, nil
	case "", "false":
	default:
		return false, jobs.NewProblem(jobs.BadMessage, "Malformed query", "async must be true or false.")
	}
	return api.Prefers(r.Header, "respond-async"), nil
}

// appendResponse appends the answer to an item. Headers with several values are joined
// with commas.
func appendResponse(b []byte, item *batchItem, index, status int, header http.Header, body []byte) []byte {
	b = append(b, '{')
	if item.ID != nil {
		b = append(rest.AppendText(append(b, `"id":`...), *item.ID), ',')
	}
	b = strconv.AppendInt(append(b, `"index":`...), int64(index), 10)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b = jobs.AppendHeader(append(b, `,"headers":`...), jobs.FlatHeader(header))
	b = append(append(b, `,"body":`...), jobs.BodyValue(header.Get("Content-Type"), body, answerDepth)...)
	return append(b, '}')
}

// answerDepth is how many levels of JSON surround the body of an item's answer:
// {"responses":[{"body":…}]}.
const answerDepth = 3

// noAnswer is used in a document for an item without an answer yet.
var noAnswer = jsontext.Value("null")
