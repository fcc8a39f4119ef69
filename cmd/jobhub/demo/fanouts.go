package demo

import (
	"fmt"
	"math/rand/v2"
)

// fanoutInput is the input of a job of kind fanout.
type fanoutInput struct {
	Targets []fanoutTarget `json:"targets"`
	Policy  string         `json:"policy"`
}

type fanoutTarget struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	URL    string `json:"url"`
}

// policies of fan-outs; where all are needed, one supplier that has nothing fails it.
var policies = []string{"quorum:2", "all", "any", "settled", "quorum:2"}

// offers asks three or four suppliers for one article.
func offers(api string, rng *rand.Rand, _ uint64) (kind string, input any) {
	article := 1 + rng.IntN(999)
	in := fanoutInput{Policy: policies[rng.IntN(len(policies))]}
	for _, i := range rng.Perm(len(suppliers))[:3+rng.IntN(2)] {
		in.Targets = append(in.Targets, fanoutTarget{suppliers[i].name, "GET", fmt.Sprintf("%s/suppliers/%s/offers/%d", api, suppliers[i].name, article)})
	}
	return "fanout", in
}
