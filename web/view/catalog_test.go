package view

import (
	"strings"
	"testing"
	"time"
)

func sampleCatalog() Catalog {
	return Catalog{Origin: "http://127.0.0.1:8080", Teams: []string{"billing", "shop"}, Tags: []string{"money", "orders"}, Pending: 2, Next: "orders", APIs: []CatalogAPI{
		{Name: "invoices", Title: "Invoices", Description: "Makes invoices, and sends them.", Team: "billing", Tags: []string{"money"}, Open: true, Versions: []CatalogVersion{{Name: "v1", State: "published"}}},
		sampleVersion().API, {Name: "new", Title: "New"},
	}}
}

func sampleVersion() APIVersion {
	v1 := CatalogVersion{Name: "v1", State: "deprecated", Published: ago(300 * time.Hour), Deprecated: ago(48 * time.Hour), Sunset: noon.Add(900 * time.Hour), Successor: "v2"}
	return APIVersion{API: CatalogAPI{Name: "orders", Title: "Orders", Description: "Orders of the shop.", Team: "shop", Tags: []string{"orders", "money"}, Versions: []CatalogVersion{v1, {Name: "v2", State: "published"}, {Name: "v3", State: "draft"}}},
		It: v1, Server: "http://127.0.0.1:8080/api/v1", Scopes: []string{"orders.read", "orders.write"}, Title: "Orders of the shop", Text: "All orders.", Of: 120, From: 50, Plans: []string{"free", "gold"}, MayAsk: true, Owner: true,
		Calls: []APIOperation{{ID: "op-51", Method: "GET", Path: "/orders/{id}", Summary: "One order", HTML: "<p><bdi>With its items.</bdi></p>", Parameters: []APIMember{{Name: "id", In: "path", Type: APIType{Text: "integer"}, Required: true}},
			Bodies: []APIBody{{Media: "application/json", Type: APIType{Text: "object"}, Members: []APIMember{{Name: "total", Type: APIType{Text: "number"}}}}}, Answers: []APIAnswer{{Status: "200", HTML: "<p>The order.</p>"}},
			Examples: []APIExample{{Name: "call", Command: Curl("GET", "http://127.0.0.1:8080/api/v1/orders/1", nil, ""), Status: "200", Answer: `{"id": 1}`}}}},
		Callers: sampleAccesses().List}
}

func sampleAccesses() Accesses {
	approve, reject, suspend := Decision{"approve", "Approve"}, Decision{"reject", "Reject"}, Decision{"suspend", "Suspend"}
	return Accesses{Next: "acc_2", List: []Access{
		{ID: "acc_1", API: "orders", Version: "v1", State: "pending", Name: "ann", Consumer: "key_ann", Created: ago(time.Hour), Plans: []string{"free", "gold"}, Decisions: []Decision{approve, reject}},
		{ID: "acc_2", API: "orders", Version: "v1", Plan: "gold", State: "active", Name: "bob", Consumer: "key_bob", Tenant: "acme", Created: ago(2 * time.Hour), Decided: ago(time.Hour), DecidedBy: "eve", Decisions: []Decision{suspend}},
		{ID: "acc_3", API: "invoices", Version: "v1", State: "rejected", Name: "eve", Consumer: "key_eve", Created: ago(3 * time.Hour)},
	}}
}

// gatewayPages are the pages of the catalogue in their states.
func gatewayPages(t *testing.T) map[string]string {
	published, retired, refused := sampleVersion(), sampleVersion(), Form{Values: map[string]string{"plan": "gold"}, Wrong: "Draft: ask later."}
	published.It, published.Owner, published.From, published.Of = published.API.Versions[1], false, 0, 1
	pending := published
	pending.Own = &sampleAccesses().List[0]
	retired.It.State, retired.It.Retired, retired.Wrong = "retired", ago(time.Hour), "It is cut."
	empty := APIVersion{API: CatalogAPI{Name: "new", Title: "New", Open: true}, It: CatalogVersion{Name: "v1", State: "published", Mock: true}, Owner: true}
	draft := APIVersion{API: CatalogAPI{Name: "new", Title: "New"}, It: CatalogVersion{Name: "v1", State: "draft"}}
	return map[string]string{
		"catalog":         render(t, CatalogPage(operatorShell(), sampleCatalog())),
		"catalog-empty":   render(t, CatalogPage(viewerShell(), Catalog{Origin: "http://127.0.0.1:8080"})),
		"catalog-none":    render(t, CatalogPage(shell(), Catalog{Query: CatalogQuery{Text: "x", Team: "gone", State: "draft"}})),
		"version":         render(t, APIVersionPage(operatorShell(), sampleVersion(), Form{})),
		"version-ask":     render(t, APIVersionPage(shell(), published, refused)),
		"version-pending": render(t, APIVersionPage(shell(), pending, Form{})),
		"version-retired": render(t, APIVersionPage(shell(), retired, Form{})),
		"version-open":    render(t, APIVersionPage(shell(), empty, Form{})),
		"version-draft":   render(t, APIVersionPage(shell(), draft, Form{})),
		"access":          render(t, AccessPage(operatorShell(), sampleAccesses())),
		"access-empty":    render(t, AccessPage(viewerShell(), Accesses{})),
		"access-none":     render(t, AccessPage(viewerShell(), Accesses{State: "pending"})),
	}
}

func TestGoldenOfGateway(t *testing.T) {
	for name, got := range gatewayPages(t) {
		t.Run(name, func(t *testing.T) { golden(t, name, got) })
	}
}

// evilGateway are pages whose texts are all the same one.
func evilGateway(t *testing.T, evil string) map[string]string {
	api := CatalogAPI{Name: evil, Title: evil, Description: evil, Team: evil, Tags: []string{evil}, Versions: []CatalogVersion{{Name: evil, State: evil, Successor: evil}}}
	access := Access{ID: evil, API: evil, Version: evil, Plan: evil, State: evil, Name: evil, Consumer: evil, Tenant: evil, DecidedBy: evil, Plans: []string{evil}, Decisions: []Decision{{evil, evil}}}
	return map[string]string{
		"find apis":   render(t, CatalogPage(shell(), Catalog{Query: CatalogQuery{evil, evil, evil, evil, evil}, APIs: []CatalogAPI{api}, Teams: []string{evil}, Next: evil})),
		"version":     render(t, APIVersionPage(shell(), APIVersion{API: api, It: CatalogVersion{Name: evil, State: "deprecated", Successor: evil}, Server: evil, Scopes: []string{evil}, Title: evil, Text: evil, Of: 1, Plans: []string{evil}, MayAsk: true, Owner: true, Callers: []Access{access}}, Form{Wrong: evil})),
		"access":      render(t, AccessPage(shell(), Accesses{State: evil, List: []Access{access}, Next: evil})),
		"wrong":       render(t, APIVersionPage(shell(), APIVersion{Wrong: evil}, Form{})),
		"no accesses": render(t, AccessPage(shell(), Accesses{State: evil})),
	}
}

func TestCurl(t *testing.T) {
	got := Curl("POST", "http://h/it's", []string{"Content-Type: application/json"}, `{"a":"it's"}`)
	want := `curl 'http://h/it'\''s' \` + "\n" + `  -H "Authorization: Bearer $JOBHUB_TOKEN" \` + "\n  -H 'Content-Type: application/json' \\\n" + `  -d '{"a":"it'\''s"}'`
	if got != want {
		t.Errorf("got %s", got)
	}
	if got := Curl("DELETE", "http://h/", nil, ""); !strings.HasPrefix(got, "curl -X DELETE 'http://h/'") {
		t.Errorf("got %s", got)
	}
}
