package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
)

type batchDocument struct {
	Requests []batchItem `json:"requests"`
}

type batchItem struct {
	ID        string   `json:"id"`
	Method    string   `json:"method"`
	Path      string   `json:"path"`
	Body      any      `json:"body,omitzero"`
	DependsOn []string `json:"depends_on,omitempty"`
}

// actBatches hands in asynchronous batches until ctx is done.
func (d *demo) actBatches(ctx context.Context) {
	rng := stream(d.seed, "batches")
	for n := uint64(1); ; n++ {
		b := invoices(d.api, rng, n)
		if !d.pause(ctx, rng, batchesShare) {
			return
		}
		d.handIn(ctx, "batch", func(ctx context.Context) (string, error) {
			return d.send(ctx, "POST", "/v1/batch?async=true", fmt.Sprintf("batch-%d", n), b)
		})
	}
}

// invoices looks each of 4 to 9 customers up, invoices them, and sends the invoice off; all
// through the route. Nearly half of these batches have a customer whom nobody knows. Half of them
// end with a report, which is a job of its own.
func invoices(api string, rng *rand.Rand, n uint64) (b batchDocument) {
	add := func(id, method, path string, body any, after ...string) {
		b.Requests = append(b.Requests, batchItem{id, method, path, body, after})
	}
	customers, unknown := 4+rng.IntN(6), rng.IntN(12)
	for i := range customers {
		customer := 1 + rng.IntN(200)
		if i > 0 && i == unknown {
			customer = 0
		}
		look, invoice := fmt.Sprint("customer-", i+1), fmt.Sprint("invoice-", i+1)
		add(look, "GET", fmt.Sprintf("/shop/customers/%d", customer), nil)
		add(invoice, "POST", "/shop/invoices", invoiceRequest{n, customer, 1 + rng.IntN(900)}, look)
		add(fmt.Sprint("mail-", i+1), "POST", "/shop/mails", mailRequest{fmt.Sprintf("customer-%d@example.com", customer)}, invoice)
	}
	report := reportRequest{fmt.Sprintf("Invoices of batch %d", n), 1 + rng.IntN(mostRows/4)}
	if rng.IntN(2) == 0 {
		add("report", "POST", "/v1/jobs", map[string]any{"kind": "http", "queue": "reports", "input": callInput{"POST", api + "/reports", report}}, "invoice-1")
	}
	return b
}
