package demo

import (
	"context"
	"fmt"
	"math/rand/v2"

	"jobhub/web/client"
)

// actBatches submits asynchronous batches until ctx is done.
func (d *demo) actBatches(ctx context.Context) {
	rng := stream(d.seed, "batches")
	for n := uint64(1); ; n++ {
		requests := invoices(d.api, rng, n)
		if !d.pause(ctx, rng, batchesShare) {
			return
		}
		d.untilKnown(ctx, "batch", func(ctx context.Context) (string, error) {
			j, err := d.client.SubmitBatch(ctx, requests, fmt.Sprintf("batch-%d", n))
			return j.ID, err
		})
	}
}

// invoices makes the requests of a batch: for each of 4 to 9 customers it looks the customer
// up, makes an invoice and mails it, all through a route. Nearly half of the batches have one
// unknown customer. Half of them end with a report, which is a job of its own.
func invoices(api string, rng *rand.Rand, n uint64) (requests []client.BatchRequest) {
	add := func(id, method, path string, body any, after ...string) {
		requests = append(requests, client.BatchRequest{ID: id, Method: method, Path: path, Body: body, DependsOn: after})
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
		add("report", "POST", "/v1/jobs", client.Submission{Kind: "http", Queue: "reports", Input: callInput{"POST", api + "/reports", report}}, "invoice-1")
	}
	return requests
}
