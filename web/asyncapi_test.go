package web_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func readAsyncAPI(w *world) *document { return readDocument(w, "/asyncapi.json", jsonschema.Draft7) }

// said are the messages of the socket by the side that says them: each type has one
// description or several.
func (d *document) said() (byClient, byHub map[string][]place) {
	byClient, byHub = map[string][]place{}, map[string][]place{}
	operations := d.at("operations")
	of := func(messages place) (all []place) {
		for _, i := range messages.names() {
			all = append(all, messages.at(i))
		}
		return all
	}
	for _, name := range operations.names() {
		o := operations.at(name)
		spoken, answers := byClient, of(o.at("reply").at("messages"))
		if o.text("action") == "send" {
			spoken = byHub
		}
		for _, m := range of(o.at("messages")) {
			spoken[m.messageType()] = append(spoken[m.messageType()], m)
		}
		for _, m := range answers {
			if t := m.messageType(); !slices.ContainsFunc(byHub[t], func(o place) bool { return o.pointer == m.pointer }) {
				byHub[t] = append(byHub[t], m)
			}
		}
	}
	return byClient, byHub
}

// messageType is the type that a message has on the wire.
func (p place) messageType() string {
	payload := p.at("payload")
	if all := payload.at("allOf"); all.value != nil {
		payload = all.at("1")
	}
	return payload.at("properties").at("type").text("const")
}

// anyOf checks a message against the descriptions of its type.
func anyOf(descriptions []place, value any) (err error) {
	if len(descriptions) == 0 {
		return fmt.Errorf("is not described")
	}
	for _, d := range descriptions {
		if err = d.at("payload").check(value); err == nil {
			return nil
		}
	}
	return err
}

// TestAsyncAPIFrames holds every conversation of the golden files against the document:
// all that the hub says is as described, and what a client says is as described or refused.
func TestAsyncAPIFrames(t *testing.T) {
	byClient, byHub := readAsyncAPI(start(t)).said()
	files, err := filepath.Glob("testdata/frames/*.golden")
	if err != nil || len(files) < 15 {
		t.Fatalf("only %d conversations: %v", len(files), err)
	}
	real := regexp.MustCompile(`(JOB-(\d))|(EPOCH)|(TIME)`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		conversation := real.ReplaceAllStringFunc(string(text), func(word string) string {
			switch word {
			case "EPOCH":
				return "k3f"
			case "TIME":
				return "2026-01-02T15:04:05.000Z"
			}
			return "0197f0a2-5c1e-7000-8000-00000000000" + word[4:]
		})
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) {
			wrong := 0 // messages of the client that the document does not allow
			for line := range strings.Lines(conversation) {
				text := strings.TrimSpace(line[1:])
				if text == "" {
					continue
				}
				value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				members, _ := value.(map[string]any)
				kind, _ := members["type"].(string)
				if line[0] == '>' {
					if err == nil {
						err = anyOf(byClient[kind], value)
					}
					if err != nil {
						wrong++
					}
					continue
				}
				if err := anyOf(byHub[kind], value); err != nil {
					t.Errorf("the hub says %s: %v", text, err)
				}
				if code := members["code"]; code == "bad_message" || code == "unsupported" {
					wrong = max(wrong-1, 0)
				}
			}
			if wrong > 0 {
				t.Errorf("%d messages are not as described and were not refused", wrong)
			}
		})
	}
}

// TestAsyncAPIExamples: each example is as described; those of clients are understood.
func TestAsyncAPIExamples(t *testing.T) {
	w := start(t)
	byClient, byHub := readAsyncAPI(w).said()
	for kind, messages := range byHub {
		for _, m := range messages {
			examples := m.at("examples")
			if len(examples.names()) == 0 {
				t.Errorf("%s has no example", kind)
			}
			for _, i := range examples.names() {
				if err := m.at("payload").check(examples.at(i).at("payload").value); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
			}
		}
	}
	for kind, messages := range byClient {
		for _, m := range messages {
			examples := m.at("examples")
			if len(examples.names()) == 0 {
				t.Errorf("%s has no example", kind)
			}
			for _, i := range examples.names() {
				example := examples.at(i).at("payload").value
				if err := m.at("payload").check(example); err != nil {
					t.Errorf("%s: %v", kind, err)
				}
				c := w.dial("")
				c.send("%s", newStand(w).in(marshal(t, example)))
				if m := c.next(); m["type"] == "error" && (m["code"] == "bad_message" || m["code"] == "unsupported") {
					t.Errorf("%v is answered with %v", example, m)
				}
			}
		}
	}
}

// TestAsyncAPIIsComplete compares the types that are described with those in the code.
func TestAsyncAPIIsComplete(t *testing.T) {
	var source strings.Builder
	files, err := filepath.Glob("live/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "rest/submission.go", "../jobs/event.go") {
		if text, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		} else if !strings.HasSuffix(file, "_test.go") {
			source.Write(text)
		}
	}
	find := func(pattern string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(source.String(), -1) {
			all = append(all, m[1])
		}
		return all
	}
	_, accepted, _ := strings.Cut(source.String(), "switch m.Type {")
	accepted, _, _ = strings.Cut(accepted, "\tdefault:")
	var received []string
	for _, m := range regexp.MustCompile(`(?m)^\tcase (".*"):`).FindAllStringSubmatch(accepted, -1) {
		for word := range strings.SplitSeq(m[1], ", ") {
			received = append(received, strings.Trim(word, `"`))
		}
	}
	sent := slices.Concat(find(`"type":"([a-z]+)"`), find(`append(?:Typed|Number)\(\w+, "(\w+)"`), find(`"((?:job|queue)\.[a-z_]+)"`))
	byClient, byHub := readAsyncAPI(start(t)).said()
	for what, c := range map[string]struct {
		described map[string][]place
		inCode    []string
	}{"client": {byClient, received}, "hub": {byHub, sent}} {
		if len(c.inCode) < 8 {
			t.Fatalf("%s: only %q were found in the code", what, c.inCode)
		}
		for _, kind := range c.inCode {
			if c.described[kind] == nil {
				t.Errorf("%s: %s is not described", what, kind)
			}
		}
		for kind := range c.described {
			if !slices.Contains(c.inCode, kind) {
				t.Errorf("%s: %s is described and not in the code", what, kind)
			}
		}
	}
}

// TestAsyncAPIParses: the parser of the AsyncAPI initiative has nothing to say against it.
func TestAsyncAPIParses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "asyncapi.json")
	if err := os.WriteFile(file, []byte(start(t).do("GET", "/asyncapi.json", "").body), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := node(t, "-e", `
		const { Parser } = require("@asyncapi/parser");
		new Parser().parse(require("fs").readFileSync(process.argv[1], "utf8")).then(({ document, diagnostics }) => {
			for (const d of diagnostics) if (d.severity < 2) console.log(d.code, d.path.join("/"), d.message);
			console.log(document ? "parsed " + document.allMessages().length + " messages" : "not parsed");
		});`, file)
	if !strings.HasPrefix(out, "parsed 3") || err != nil {
		t.Errorf("the AsyncAPI parser: %v\n%s", err, out)
	}
}
