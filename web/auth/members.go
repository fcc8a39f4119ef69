package auth

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// MaxScopes is the largest number of scopes of a key.
const MaxScopes = 100

// Members are the members of a key in JSON, as they are given to make or change one. Each is a
// value, null or an empty text for none, and nil if it is not given.
type Members struct {
	Name    jobs.Value `json:"name,omitzero"`
	Tenant  jobs.Value `json:"tenant,omitzero"`
	Team    jobs.Value `json:"team,omitzero"`
	Role    jobs.Value `json:"role,omitzero"`
	Scopes  jobs.Value `json:"scopes,omitzero"`
	Plan    jobs.Value `json:"plan,omitzero"`
	Rate    jobs.Value `json:"rate,omitzero"`
	Quota   jobs.Value `json:"quota,omitzero"`
	Budget  jobs.Value `json:"budget,omitzero"`
	Expires jobs.Value `json:"expires,omitzero"` // a time in RFC 3339, or a duration from now
}

// Apply sets the members of a key that are given. Its error is a *jobs.Problem with status 422
// that names each member that is not valid.
func (m *Members) Apply(key *Key, now time.Time) error {
	var errs []error
	text := func(name string, value jobs.Value, set func(string)) {
		var t *string
		switch {
		case value == nil:
		case json.Unmarshal(value, &t) != nil:
			errs = append(errs, jobs.Invalid("/"+name, "must be a text, or null for none"))
		case t == nil:
			set("")
		default:
			set(*t)
		}
	}
	text("name", m.Name, func(t string) { key.Name = t })
	text("tenant", m.Tenant, func(t string) { key.Tenant = t })
	text("team", m.Team, func(t string) { key.Team = t })
	text("role", m.Role, func(t string) { key.Role = Role(t) })
	text("plan", m.Plan, func(t string) { key.Plan = t })
	text("rate", m.Rate, func(t string) { key.Rate = t })
	text("quota", m.Quota, func(t string) { key.Quota = t })
	text("budget", m.Budget, func(t string) { key.Budget = t })
	text("expires", m.Expires, func(t string) {
		expires, ok := parseExpiry(t, now)
		if !ok {
			errs = append(errs, jobs.Invalid("/expires", "must be a time to come in RFC 3339, like 2030-01-31T12:00:00Z, or a duration like 720h, or null for none"))
		}
		key.Expires = expires
	})
	if m.Scopes != nil {
		key.Scopes = nil
		if json.Unmarshal(m.Scopes, &key.Scopes) != nil {
			errs = append(errs, jobs.Invalid("/scopes", "must be a list of texts, or null for none"))
			key.Scopes = nil
		}
	}
	if key.Name == "" {
		key.Name = key.ID
	}
	return jobs.JoinProblems(append(errs, key.check())...)
}

// parseExpiry reads a time to come, or a duration. An empty text is the zero time: never.
func parseExpiry(text string, now time.Time) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return time.Time{}, false
		}
		at = now.Add(d)
	}
	at = at.UTC().Truncate(time.Second)
	return at, at.After(now) && at.Year() <= 9999
}

// scopeForm is scope-token of RFC 6749, section 3.3.
var scopeForm = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]{1,128}$`)

// check checks what people say of a key, and sets limits. Its error is a *jobs.Problem with
// status 422. An empty tenant is valid; so is an empty name.
func (k *Key) check() error {
	var errs []error
	invalid := func(pointer, format string, args ...any) {
		errs = append(errs, jobs.Invalid(pointer, format, args...))
	}
	if k.Name != "" && k.Name != k.ID && !validName(k.Name) {
		invalid("/name", "must be up to 64 printable characters and not begin with %s, not %q", idPrefix, k.Name)
	}
	if k.Tenant != "" && !jobs.WellFormedName(k.Tenant) {
		invalid("/tenant", "must be "+jobs.NameRule+", but is %q", k.Tenant)
	}
	if Roles[k.Role] == nil {
		invalid("/role", "must be one of %s, not %q", strings.Join(RoleNames(), ", "), k.Role)
	}
	for pointer, name := range map[string]string{"/team": k.Team, "/plan": k.Plan} {
		if name != "" && !jobs.WellFormedName(name) {
			invalid(pointer, "must be "+jobs.NameRule+", but is %q", name)
		}
	}
	if len(k.Scopes) > MaxScopes {
		invalid("/scopes", "must be up to %d scopes", MaxScopes)
	} else {
		for i, scope := range k.Scopes {
			switch at := "/scopes/" + strconv.Itoa(i); {
			case !scopeForm.MatchString(scope):
				invalid(at, "must be the name of a scope, like orders.read, up to 128 visible ASCII characters without spaces, quotes and backslashes, not %q", scope)
			case slices.Contains(k.Scopes[:i], scope):
				invalid(at, "stands there twice: %s", scope)
			}
		}
	}
	if _, ok := ParseBudget(k.Budget); k.Budget != "" && !ok {
		invalid("/budget", "must be an amount of USD in a time from 1m to 366d, like 50/30d or 0.50/1d, not %q", k.Budget)
	}
	slices.SortStableFunc(errs, func(a, b error) int { return strings.Compare(pointerOf(a), pointerOf(b)) })
	return jobs.JoinProblems(append(errs, k.compileLimits())...)
}

func pointerOf(err error) string { return err.(*jobs.Problem).Errors[0].Pointer }

func validName(name string) bool {
	forbidden := func(r rune) bool { return !unicode.IsPrint(r) || unicode.Is(unicode.Bidi_Control, r) }
	return len(name) <= 64 && utf8.ValidString(name) && strings.TrimSpace(name) == name && !strings.ContainsFunc(name, forbidden) && !strings.HasPrefix(name, idPrefix)
}

// Document is a key in JSON, without its hash: a value, or null for none.
type Document struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Tenant  string            `json:"tenant"`
	Team    *string           `json:"team"`
	Role    Role              `json:"role"`
	Scopes  []string          `json:"scopes"`
	Plan    *string           `json:"plan"`
	Rate    *string           `json:"rate"`
	Quota   *string           `json:"quota"`
	Budget  *string           `json:"budget"`
	Expires *string           `json:"expires"`
	State   string            `json:"state"` // valid, expired or revoked
	Created string            `json:"created_at"`
	Revoked *string           `json:"revoked_at"`
	Links   map[string]string `json:"links"`
}

// Document returns the document of a key, with its state at a time.
func (k *Key) Document(now time.Time) Document {
	text := func(t string) *string {
		if t == "" {
			return nil
		}
		return &t
	}
	at := func(t time.Time) *string {
		if t.IsZero() {
			return nil
		}
		return text(t.UTC().Format(jobs.TimeFormat))
	}
	return Document{ID: k.ID, Name: k.Name, Tenant: k.Tenant, Team: text(k.Team), Role: k.Role, Scopes: append([]string{}, k.Scopes...), Plan: text(k.Plan), Rate: text(k.Rate),
		Quota: text(k.Quota), Budget: text(k.Budget), Expires: at(k.Expires), State: k.stateName(now), Created: *at(k.Created), Revoked: at(k.Revoked), Links: map[string]string{"self": "/v1/keys/" + k.ID}}
}

// stateName is State in a word.
func (k *Key) stateName(now time.Time) string {
	switch k.State(now) {
	case nil:
		return StateValid
	case ErrRevoked:
		return StateRevoked
	}
	return StateExpired
}

// States of a key in its document.
const (
	StateValid   = "valid"
	StateExpired = "expired"
	StateRevoked = "revoked"
)

// describe says for a log what a change of a key has changed, like "role viewer → admin".
func describe(before, after *Key) []string {
	var all []string
	for _, m := range []struct{ name, before, after string }{
		{"name", before.Name, after.Name}, {"tenant", before.Tenant, after.Tenant}, {"team", before.Team, after.Team}, {"role", string(before.Role), string(after.Role)},
		{"scopes", strings.Join(before.Scopes, " "), strings.Join(after.Scopes, " ")}, {"plan", before.Plan, after.Plan}, {"rate", before.Rate, after.Rate},
		{"quota", before.Quota, after.Quota}, {"budget", before.Budget, after.Budget}, {"expires", expiryText(before.Expires), expiryText(after.Expires)},
	} {
		if m.before != m.after {
			all = append(all, fmt.Sprintf("%s %q → %q", m.name, m.before, m.after))
		}
	}
	return all
}

func expiryText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
