package openapi

import (
	"strings"
	"testing"

	"jobhub/web/gateway/openapi/schema"
)

func TestJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"openapi":"3.1.0", "info":{"title":"é\u00e9","version":"1"},"x-n":[9007199254740993,1.10,1e400] ,"servers" : [ {"url":"http://old"} ],"paths":{ }}`: `{"openapi":"3.1.0", "info":{"title":"é\u00e9","version":"1"},"x-n":[9007199254740993,1.10,1e400] ,"servers" : [{"url":"http://new/\"a"}],"paths":{ }}`,
		`{"openapi":"3.1.0","info":{"title":"t","version":"1"}}`: `{"servers":[{"url":"http://new/\"a"}],"openapi":"3.1.0","info":{"title":"t","version":"1"}}`,
		withPaths(`{"/a":{"servers":[],"get":{"servers":[{"url":"http://old"}]}}}`): `{"servers":[{"url":"http://new/\"a"}],` +
			withPaths(`{"/a":{"servers":[{"url":"http://new/\"a"}],"get":{"servers":[{"url":"http://new/\"a"}]}}}`)[1:],
	} {
		d := parse(t, in)
		got := string(d.JSON(`http://new/"a`))
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		if again := parse(t, got); again.Servers[0].URL != `http://new/"a` {
			t.Errorf("servers %v", again.Servers)
		}
		if string(d.Source()) != in {
			t.Error("the source is changed")
		}
	}
	got := string(orders(t).JSON("https://hub.example.com/shop"))
	if strings.Contains(got, "eu.example.com") || strings.Contains(got, "other.example.com") || !strings.Contains(got, `"maximum":9007199254740993`) || !strings.Contains(got, `"x-team":"orders"`) {
		t.Error(got)
	}
}

func TestRows(t *testing.T) {
	d := orders(t)
	var order *Schema
	for _, s := range d.Schemas {
		if s.Name == "Order" {
			order = s
		}
	}
	if len(order.Rows()) != 17 {
		t.Errorf("%d rows: %+v", len(order.Rows()), order.Rows())
	}
	row := map[string]Row{}
	for _, r := range order.Rows() {
		row[r.Name] = r
	}
	if r := row["id"]; r.Type != "integer (int64)" || !r.Required || !r.ReadOnly {
		t.Errorf("id: %+v", r)
	}
	if r := row["item"]; r.Limits != "at least 1 characters; at most 20 characters" {
		t.Errorf("item: %+v", r)
	}
	if r := row["parts"]; r.Type != "array of Order" {
		t.Errorf("parts: %+v", r)
	}
	if r := row["[ ]"]; r.Component != "Order" && r.Type != "string" || r.Depth != 1 {
		t.Errorf("items: %+v", r)
	}
	if r := row["pet"]; r.Component != "Pet" || r.Type != "one of 2" {
		t.Errorf("pet: %+v", r)
	}
	if !strings.HasPrefix(string(order.JSON()), `{"type":"object","required":["id","item"]`) {
		t.Errorf("JSON %s", order.JSON())
	}
	wide := parse(t, with("3.1.0", `{"S":{"properties":{`+manyProperties(40)+`}}}`))
	if n := len(wide.Schemas[0].Rows()); n > schema.MaxRows {
		t.Errorf("%d rows", n)
	}
}

// manyProperties is properties that each hold the whole schema again.
func manyProperties(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = `"p` + strings.Repeat("x", i) + `":{"properties":{"q":{"type":"object","properties":{"r":{"$ref":"#/components/schemas/S"}}}}}`
	}
	return strings.Join(all, ",")
}
