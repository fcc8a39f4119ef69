package demo

import (
	"fmt"
	"math/rand/v2"

	"jobhub/web/client"
)

// policies of fan-outs. With all, one supplier without the article fails the fan-out.
var policies = []string{"quorum:2", "all", "any", "settled", "quorum:2"}

// offers asks three or four suppliers for one article.
func offers(api string, rng *rand.Rand, _ uint64) (kind string, input any) {
	article := 1 + rng.IntN(999)
	in := client.Fanout{Policy: policies[rng.IntN(len(policies))]}
	for _, i := range rng.Perm(len(suppliers))[:3+rng.IntN(2)] {
		in.Targets = append(in.Targets, client.Target{
			Name: suppliers[i].name, Method: "GET", URL: fmt.Sprintf("%s/suppliers/%s/offers/%d", api, suppliers[i].name, article),
		})
	}
	return "fanout", in
}
