package web_test

import (
	"fmt"
	"sync/atomic"
)

// exampleCount makes the names of APIs in examples differ.
var exampleCount atomic.Int64

func exampleName(word string) string { return fmt.Sprint("example-", word, "-", exampleCount.Add(1)) }

// exampleAPI makes an API with the version v1, a draft or published, which answers from its
// document.
func (w *world) exampleAPI(published bool) (name string) {
	w.t.Helper()
	name = exampleName("api")
	w.do("PUT", "/v1/apis/"+name, `{"title":"Invoices","tags":["money"]}`).want(201)
	w.do("PUT", "/v1/apis/"+name+"/versions/v1", fmt.Sprintf(`{"mock":true,"openapi":{"openapi":"3.1.0","info":{"title":"Invoices","version":"1"},"paths":{"/{id}":{"get":{
		"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],"responses":{"200":{"description":"The invoice.","content":{"application/json":{"example":{"id":7}}}}}}}}},
		"routes":[{"path":"/%s/","strip":"/%[1]s"}]}`, name)).want(201)
	if published {
		w.do("POST", "/v1/apis/"+name+"/versions/v1/publish", "").want(200)
	}
	return name
}

// exampleAccess asks for access to an API, and decides about it if decision is not empty.
func (w *world) exampleAccess(decision string) (id string) {
	w.t.Helper()
	id = w.do("POST", "/v1/access", fmt.Sprintf(`{"api":%q,"version":"v1"}`, w.exampleAPI(true))).want(201).text("id")
	if decision != "" {
		w.do("POST", "/v1/access/"+id+"/"+decision, "").want(200)
	}
	return id
}
