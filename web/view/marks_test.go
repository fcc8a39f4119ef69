package view

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryMarkHasAShape: what marks a state or a notice has a shape and a colour in the
// style sheet, on each of the golden pages and where there is too much to show.
func TestEveryMarkHasAShape(t *testing.T) {
	sheet, err := os.ReadFile("../../static/jobhub.css")
	if err != nil {
		t.Fatal(err)
	}
	var shaped []string
	for _, rule := range regexp.MustCompile(`(?m)^  ([^{}\n]+) \{\s[^{}]*--shape:`).FindAllSubmatch(sheet, -1) {
		for _, class := range regexp.MustCompile(`\.([a-z]+)`).FindAllSubmatch(rule[1], -1) {
			shaped = append(shaped, string(class[1]))
		}
	}
	o := sampleOverview()
	o.Attention = slices.Repeat(o.Attention[:1], maxAttention+1)
	pages := map[string]string{"much needs attention": render(t, OverviewPage(shell(), o))}
	files, err := filepath.Glob("testdata/*.golden.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[file] = string(text)
	}
	marks := 0
	for name, text := range pages {
		for _, mark := range regexp.MustCompile(`class="st ([a-z ]+)"`).FindAllStringSubmatch(text, -1) {
			if marks++; !slices.ContainsFunc(strings.Fields(mark[1]), func(class string) bool { return slices.Contains(shaped, class) }) {
				t.Errorf("%s: %s has no shape; these have: %q", name, mark[0], shaped)
			}
		}
	}
	if marks < 100 {
		t.Errorf("there are %d marks", marks)
	}
}
