package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Key is an API key as the hub describes it.
type Key struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"` // of its holder, for people; the id if none was given
	Tenant  string    `json:"tenant"`
	Team    string    `json:"team"` // empty for none
	Role    string    `json:"role"` // admin, operator, submitter, worker, viewer or monitor
	Scopes  []string  `json:"scopes"`
	Plan    string    `json:"plan"`    // of the hub's configuration; empty for none
	Rate    string    `json:"rate"`    // of requests, like 100/1m; empty for none
	Quota   string    `json:"quota"`   // of requests, like 10000/1d; empty for none
	Budget  string    `json:"budget"`  // in USD, like 50/30d; empty for none
	Expires time.Time `json:"expires"` // zero for never
	State   string    `json:"state"`   // valid, expired or revoked
	Created time.Time `json:"created_at"`
	Revoked time.Time `json:"revoked_at"` // zero if it was not

	Raw jsontext.Value `json:"-"` // the document as it came, with members unknown here
}

// UnmarshalJSON keeps the document in Raw besides decoding it.
func (k *Key) UnmarshalJSON(text []byte) error {
	type members Key // without this method
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*k = Key(m)
	k.Raw = jsontext.Value(text).Clone()
	return nil
}

// NewKey is a key as it was made.
type NewKey struct {
	Key
	Text     string   // jh_…, for Client.Token of its holder: the hub shows it this once; empty in a repeated answer
	Notes    []string // for people, like that it is the hub's first key
	Replayed bool     // the key was made by an earlier call with the same idempotency key
}

// UnmarshalJSON reads the answer that has the key.
func (k *NewKey) UnmarshalJSON(text []byte) error {
	var m struct {
		Text  string   `json:"key"`
		Notes []string `json:"notes"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	k.Text, k.Notes, k.Replayed = m.Text, m.Notes, m.Text == ""
	return json.Unmarshal(text, &k.Key)
}

// KeyMembers are the members of a key to set: nil leaves one as it is or, of a new key, at its
// default; an empty text, and no scopes, mean none. A new key needs a role.
type KeyMembers struct {
	Name    *string   `json:"name,omitzero"`
	Tenant  *string   `json:"tenant,omitzero"` // that of the caller by default
	Team    *string   `json:"team,omitzero"`
	Role    *string   `json:"role,omitzero"`
	Scopes  *[]string `json:"scopes,omitzero"`
	Plan    *string   `json:"plan,omitzero"`
	Rate    *string   `json:"rate,omitzero"`
	Quota   *string   `json:"quota,omitzero"`
	Budget  *string   `json:"budget,omitzero"`
	Expires *string   `json:"expires,omitzero"` // a time in RFC 3339, or a duration from now like 720h
}

// KeyFilter selects keys; the zero value of each member selects all.
type KeyFilter struct {
	Tenant, Team, Role, State string
}

// Keys returns the keys of the caller's tenant, and those of all tenants to admins of the hub's
// own tenant. They come in the order in which they were made. It ends with the first error.
func (c *Client) Keys(ctx context.Context, f KeyFilter) iter.Seq2[Key, error] {
	return func(yield func(Key, error) bool) {
		query := url.Values{"limit": {"500"}}
		for name, value := range map[string]string{"tenant": f.Tenant, "team": f.Team, "role": f.Role, "state": f.State} {
			if value != "" {
				query.Set(name, value)
			}
		}
		for {
			var page struct {
				Keys []Key  `json:"keys"`
				Next string `json:"next_cursor"`
			}
			if err := c.exchange(ctx, http.MethodGet, "/v1/keys?"+query.Encode(), "", nil, &page); err != nil {
				yield(Key{}, err)
				return
			}
			for _, key := range page.Keys {
				if !yield(key, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

// Key returns a key by its id.
func (c *Client) Key(ctx context.Context, id string) (k Key, err error) {
	err = c.exchange(ctx, http.MethodGet, keyPath(id), "", nil, &k)
	return k, err
}

// CreateKey makes a key. An idempotency key that is not empty makes it safe to call CreateKey
// again when an error is [Unknown]; but the text of the key is only in the first answer.
func (c *Client) CreateKey(ctx context.Context, m KeyMembers, idempotencyKey string) (k NewKey, err error) {
	err = c.exchange(ctx, http.MethodPost, "/v1/keys", idempotencyKey, m, &k)
	return k, err
}

// UpdateKey changes members of a key.
func (c *Client) UpdateKey(ctx context.Context, id string, m KeyMembers) (k Key, err error) {
	err = c.exchange(ctx, http.MethodPatch, keyPath(id), "", m, &k)
	return k, err
}

// RevokeKey revokes a key, which can't be undone. To revoke it again does nothing.
func (c *Client) RevokeKey(ctx context.Context, id string) error {
	return c.exchange(ctx, http.MethodDelete, keyPath(id), "", nil, nil)
}

func keyPath(id string) string { return "/v1/keys/" + url.PathEscape(id) }
