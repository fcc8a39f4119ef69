package main

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateGraph = flag.Bool("update-graph", false, "write the graph of packages into the README")

// TestGraph: the graph in the README is that of the packages, as `make graph` draws it.
func TestGraph(t *testing.T) {
	const readme, from, to = "../../README.md", "<!-- graph -->\n", "<!-- end of graph -->"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), from)
	drawn, after, ends := strings.Cut(rest, to)
	if !begins || !ends {
		t.Fatal("the README has no place for the graph")
	}
	graph := drawGraph(packages(t))
	if drawn == graph {
		return
	}
	if !*updateGraph {
		t.Fatal("the graph in the README is not that of the packages; run make graph")
	}
	if err := os.WriteFile(readme, []byte(before+from+graph+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// packages are the packages of the product and what each imports of them.
func packages(t *testing.T) map[string][]string {
	out, err := exec.Command("go", "list", "-f", `{{if .GoFiles}}{{.ImportPath}}{{range .Imports}} {{.}}{{end}}{{end}}`, "jobhub/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		if len(names) == 0 || strings.Contains(names[0], "/e2e") || strings.HasSuffix(names[0], "/storetest") {
			continue
		}
		all[names[0]] = slices.DeleteFunc(names[1:], func(name string) bool { return !strings.HasPrefix(name, "jobhub/") })
	}
	return all
}

// drawGraph draws packages in Mermaid, without the arrows that follow from others.
func drawGraph(all map[string][]string) string {
	reach := map[string]map[string]bool{}
	var reaches func(name string) map[string]bool
	reaches = func(name string) map[string]bool {
		if reach[name] == nil {
			reach[name] = map[string]bool{}
			for _, to := range all[name] {
				reach[name][to] = true
				for further := range reaches(to) {
					reach[name][further] = true
				}
			}
		}
		return reach[name]
	}
	var arrows []string
	for name, imports := range all {
		for _, to := range imports {
			follows := slices.ContainsFunc(imports, func(other string) bool { return other != to && reaches(other)[to] })
			if !follows {
				arrows = append(arrows, "  "+strings.TrimPrefix(name, "jobhub/")+" --> "+strings.TrimPrefix(to, "jobhub/")+"\n")
			}
		}
	}
	slices.Sort(arrows)
	return "```mermaid\ngraph TD\n" + strings.Join(arrows, "") + "```\n"
}

// TestMap: the files that the README names as starts are where it says.
func TestMap(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(cells[1], " `") || !strings.Contains(cells[1], "/`") {
			continue
		}
		rows++
		for _, file := range quoted.FindAllStringSubmatch(cells[3], -1) {
			exists := slices.ContainsFunc(quoted.FindAllStringSubmatch(cells[1], -1), func(folder []string) bool {
				_, err := os.Stat("../../" + folder[1] + file[1])
				return err == nil
			})
			if !exists {
				t.Errorf("%s is not in%s", file[1], cells[1])
			}
		}
	}
	if rows < 15 {
		t.Fatalf("only %d folders are named", rows)
	}
}
