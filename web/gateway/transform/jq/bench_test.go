//go:build unix

package jq

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

func BenchmarkRule2KiB(b *testing.B) {
	var items []string
	for i := range 20 {
		items = append(items, fmt.Sprintf(`{"id":%d,"sku":"SKU-%05d","price":%d.10,"tags":["a","b"],"stock":%d}`, 9007199254740993+i, i, i, i*7))
	}
	doc := []byte(`{"order":{"id":"ord_1234567890","total":199.90,"items":[` + strings.Join(items, ",") + `],"customer":{"name":"Ada","mail":"ada@example.com","card":"4111111111111111"}},"meta":{"page":1,"trace":"` + strings.Repeat("x", 450) + `"}}`)
	b.Logf("%d bytes", len(doc))
	for _, program := range []string{".", ".order | {id, total}", "{data: .}", "del(.order.customer.card)", ".order.items |= map({id, sku, total: (.price * .stock)})", ".order | {id, items: [.items[] | select(.stock > 20) | {id, price}]}", ".order.customer.mail |= sub(\"@.*\"; \"@…\")"} {
		b.Run(program, func(b *testing.B) {
			p := mustCompile(b, program)
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				if _, err := p.Run(b.Context(), doc, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpu returns the processor time of this process, which other processes don't disturb.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
