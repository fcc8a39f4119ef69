package jobs

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// This file separates the credentials of HTTP requests from the input of their job. The input
// has the text Hidden in their place wherever it is stored, shown or searched. They are put
// back only for the attempt that sends the request.

// Hidden is the placeholder of a credential.
const Hidden = "***"

// credentialNames are headers and query parameters that hold credentials, in lower case.
// Names that contain one of credentialWords hold them, too.
var (
	credentialNames = []string{"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token"}
	credentialWords = []string{"token", "secret", "password", "api-key", "apikey"}
)

// isCredential reports whether a header or query parameter of that name holds a credential;
// more are further such names.
func isCredential(name string, more []string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.Contains(credentialNames, name) ||
		slices.ContainsFunc(credentialWords, func(word string) bool { return strings.Contains(name, word) }) ||
		containsFold(more, name)
}

// SplitCredentials returns a document with the credentials in all members "headers", "url"
// and "path" hidden, and these credentials; more are further names that hold credentials.
func SplitCredentials(doc Value, more []string) (Value, Credentials) {
	hidden := Credentials{}
	out := editMembers(doc, func(name string, kind jsontext.Kind, pointer func() jsontext.Pointer) replacement {
		var at jsontext.Pointer
		hide := func(shown func(Value) Value) replacement {
			return func(value Value) Value {
				to := shown(value)
				if to != nil && !bytes.Equal(to, value) {
					hidden[string(at)] = value.Clone()
				}
				return to
			}
		}
		switch {
		case (name == "url" || name == "path") && kind == '"':
			at = pointer()
			return hide(func(value Value) Value { return hideInURL(value, more) })
		case isCredential(name, more):
			if at = pointer(); at.Parent().LastToken() == "headers" {
				return hide(func(Value) Value { return Value(`"` + Hidden + `"`) })
			}
		}
		return nil
	})
	if len(hidden) == 0 {
		return doc, nil
	}
	return out, hidden
}

// Join puts credentials back into the document that they were taken from.
func (c Credentials) Join(doc Value) Value {
	if len(c) == 0 {
		return doc
	}
	return editMembers(doc, func(name string, kind jsontext.Kind, pointer func() jsontext.Pointer) replacement {
		if !c.hasName(name) {
			return nil
		}
		secret := c[string(pointer())]
		return func(Value) Value { return secret }
	})
}

// placeholders are the JSON pointers of the places where a document has Hidden instead of a
// credential.
func Placeholders(doc Value, more []string) (at []string) {
	editMembers(doc, func(name string, _ jsontext.Kind, pointer func() jsontext.Pointer) replacement {
		if !isCredential(name, more) {
			return nil
		}
		place := pointer()
		return func(value Value) Value {
			if place.Parent().LastToken() == "headers" && string(value) == `"`+Hidden+`"` {
				at = append(at, string(place))
			}
			return nil
		}
	})
	return at
}

// hasName reports whether there is a credential whose pointer ends with that name. It saves
// making the pointer of each member.
func (c Credentials) hasName(name string) bool {
	for pointer := range c {
		if jsontext.Pointer(pointer).LastToken() == name {
			return true
		}
	}
	return false
}

// size is about how many bytes they take.
func (c Credentials) Size() (n int) {
	for pointer, value := range c {
		n += len(pointer) + len(value)
	}
	return n
}

// restore puts credentials into a newer version of the document that they were taken from, at
// the places that still show the same. Without mine, and for headers named in except, that is
// an error, which names the members whose values have to be given again.
func (c Credentials) Restore(old, doc Value, mine bool, except []string) (Value, error) {
	shown := map[string]string{} // what the old document has in place of each credential
	editMembers(old, func(name string, kind jsontext.Kind, pointer func() jsontext.Pointer) replacement {
		if !c.hasName(name) {
			return nil
		}
		at := string(pointer())
		return func(value Value) Value { shown[at] = string(value); return nil }
	})
	var refused []error
	out := editMembers(doc, func(name string, kind jsontext.Kind, pointer func() jsontext.Pointer) replacement {
		if !c.hasName(name) {
			return nil
		}
		at := string(pointer())
		return func(value Value) Value {
			secret, known := c[at]
			switch {
			case !known || shown[at] != string(value):
				return nil
			case mine && !containsFold(except, name):
				return secret
			}
			refused = append(refused, Invalid(at, hiddenDetail))
			return nil
		}
	})
	return out, JoinProblems(refused...)
}

func containsFold(names []string, name string) bool {
	return slices.ContainsFunc(names, func(other string) bool { return strings.EqualFold(other, name) })
}

// replacement returns the new value of a member; nil to leave it as it is.
type replacement func(value Value) Value

// editMembers replaces values of members of a JSON document. find gets each member's name,
// the kind of its value and what makes its pointer; it returns the edit of the value, or
// nil to go on inside of it. What is not replaced keeps its bytes.
func editMembers(doc Value, find func(name string, kind jsontext.Kind, pointer func() jsontext.Pointer) replacement) Value {
	d := jsontext.NewDecoder(bytes.NewBuffer(doc))
	var out []byte
	copied := 0 // bytes of doc that are in out or replaced there
	for {
		token, err := d.ReadToken()
		if err != nil { // the end
			break
		}
		if kind, n := d.StackIndex(d.StackDepth()); token.Kind() != '"' || kind != '{' || n%2 == 0 {
			continue // no name of a member
		}
		name := token.String() // before the next token takes its place
		change := find(name, d.PeekKind(), d.StackPointer)
		if change == nil {
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		end := int(d.InputOffset())
		if to := change(value); to != nil {
			out = append(append(out, doc[copied:end-len(value)]...), to...)
			copied = end
		}
	}
	if copied == 0 {
		return doc
	}
	return append(out, doc[copied:]...)
}

// hideInURL hides the password and the query parameters of a URL, or path, that hold
// credentials. It returns nil if there are none.
func hideInURL(quoted Value, more []string) Value {
	raw, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil
	}
	rest, hidden := string(raw), false
	var b strings.Builder
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		end := len(after)
		if i := strings.IndexAny(after, "/?#"); i >= 0 {
			end = i
		}
		if at := strings.LastIndexByte(after[:end], '@'); at >= 0 {
			if user, password, ok := strings.Cut(after[:at], ":"); ok && password != Hidden {
				b.WriteString(scheme + "://" + user + ":" + Hidden)
				rest, hidden = after[at:], true
			}
		}
	}
	path, query, ok := strings.Cut(rest, "?")
	b.WriteString(path)
	if ok {
		query, fragment, fragmented := strings.Cut(query, "#")
		for i, pair := range strings.Split(query, "&") {
			b.WriteByte("?&"[min(i, 1)])
			name, value, _ := strings.Cut(pair, "=")
			if value != "" && value != Hidden && isCredential(unescaped(name), more) {
				pair, hidden = name+"="+Hidden, true
			}
			b.WriteString(pair)
		}
		if fragmented {
			b.WriteString("#" + fragment)
		}
	}
	if !hidden {
		return nil
	}
	return AppendString(nil, b.String())
}

// shownURL is a URL as a JSON string, with its credentials hidden.
func shownURL(text string) Value {
	quoted := Value(AppendString(nil, text))
	if shown := hideInURL(quoted, nil); shown != nil {
		return shown
	}
	return quoted
}

// unescaped is the name of a query parameter without percent-encoding.
func unescaped(name string) string {
	if plain, err := url.QueryUnescape(name); err == nil {
		return plain
	}
	return name
}

// Credentials are the hidden parts of a JSON document, by JSON pointer (RFC 6901).
type Credentials map[string]Value
