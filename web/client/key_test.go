package client_test

import (
	"errors"
	"testing"
	"time"

	"jobhub/web/client"
)

func TestKeys(t *testing.T) {
	c, ctx := realHub(t), t.Context()
	text := func(s string) *string { return &s }
	made := ok[client.NewKey](t)
	root := made(c.CreateKey(ctx, client.KeyMembers{Role: text("admin"), Name: text("root")}, ""))
	if root.Text == "" || root.State != "valid" || root.Tenant != "default" || len(root.Notes) != 1 {
		t.Fatalf("%+v", root)
	}
	if _, err := c.Key(ctx, root.ID); !errors.Is(err, &client.Problem{Code: "unauthorized"}) {
		t.Errorf("without a key: %v", err)
	}
	c.Token = root.Text
	members := client.KeyMembers{Role: text("submitter"), Name: text("ci"), Team: text("shop"), Scopes: &[]string{"a", "b"}, Plan: text("gold"), Rate: text("100/1m"), Quota: text("10/1d"), Budget: text("5/30d"),
		Expires: text("720h")}
	ci := made(c.CreateKey(ctx, members, "once"))
	again := made(c.CreateKey(ctx, members, "once"))
	if ci.Replayed || !again.Replayed || again.Text != "" || again.ID != ci.ID {
		t.Errorf("%+v and then %+v", ci, again)
	}
	key := ok[client.Key](t)
	k := key(c.Key(ctx, ci.ID))
	expect(t, "the key", []any{k.Name, k.Team, k.Role, k.Scopes, k.Plan, k.Rate, k.Quota, k.Budget, k.State}, []any{"ci", "shop", "submitter", []string{"a", "b"}, "gold", "100/1m", "10/1d", "5/30d", "valid"})
	if left := time.Until(k.Expires); left < 719*time.Hour || left > 720*time.Hour {
		t.Errorf("expires in %v", left)
	}
	k = key(c.UpdateKey(ctx, ci.ID, client.KeyMembers{Scopes: &[]string{}, Plan: text(""), Expires: text(""), Role: text("viewer")}))
	expect(t, "after the change", []any{k.Scopes, k.Plan, k.Expires.IsZero(), k.Role, k.Team, k.Rate}, []any{[]string{}, "", true, "viewer", "shop", "100/1m"})
	if err := c.RevokeKey(ctx, ci.ID); err != nil {
		t.Error(err)
	}
	for filter, want := range map[client.KeyFilter]int{{}: 2, {State: "revoked"}: 1, {Team: "shop", Role: "viewer"}: 1, {Tenant: "acme"}: 0} {
		n := 0
		for _, err := range c.Keys(ctx, filter) {
			if n++; err != nil {
				t.Error(err)
			}
		}
		if n != want {
			t.Errorf("%+v: %d keys, want %d", filter, n, want)
		}
	}
	for _, err := range c.Keys(ctx, client.KeyFilter{State: "gone"}) {
		if !errors.Is(err, &client.Problem{Code: "bad_message"}) {
			t.Errorf("an unknown state: %v", err)
		}
	}
}
