package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport says which packages of this module each one may import, besides nothing:
// imports point down the ladder cmd → web → hub → jobs, engines and handlers import
// jobs and never each other; handlers that call out share egress. jobs itself may use little of the world, too.
//
// Packages of tests alone are held to it as well. The end-to-end tests know the program from
// outside, and the Go client; faults reads what a hub left in its store, and cuts holds up a
// store in its own process.
var mayImport = map[string][]string{
	"jobhub/jobs":            {"jobhub/jobs/httpheader"},
	"jobhub/jobs/schedule":   {"jobhub/jobs", "jobhub/jobs/cron"},
	"jobhub/jobs/engine":     {"jobhub/jobs", "jobhub/jobs/engine/attempt", "jobhub/jobs/engine/commit", "jobhub/jobs/engine/transition", "jobhub/jobs/schedule"},
	"jobhub/jobs/httpheader": {},
	"jobhub/jobs/cron":       {},
	"jobhub/jobs/storetest":  {"jobhub/jobs"},
	"jobhub/jobs/sqlite":     {"jobhub/jobs", "jobhub/jobs/sqlite/eventlog", "jobhub/jobs/sqlite/folder", "jobhub/jobs/sqlite/vfs"},
	"jobhub/jobs/egress":     {"jobhub/jobs"},

	"jobhub/jobs/sqlite/eventlog": {"jobhub/jobs"},
	"jobhub/jobs/sqlite/folder":   {"jobhub/jobs/sqlite/vfs"},
	"jobhub/jobs/sqlite/vfs":      {},

	"jobhub/jobs/call":       {"jobhub/jobs", "jobhub/jobs/egress", "jobhub/jobs/httpheader"},
	"jobhub/jobs/webhook":    {"jobhub/jobs", "jobhub/jobs/egress"},
	"jobhub/hub":             {"jobhub/hub/quantile", "jobhub/jobs"},
	"jobhub/hub/quantile":    {},
	"jobhub/static":          {},
	"jobhub/web/view":        {"jobhub/hub/quantile", "jobhub/jobs", "jobhub/jobs/engine", "jobhub/jobs/schedule", "jobhub/web/clip"},
	"jobhub/web/auth":        {"jobhub/jobs", "jobhub/web/limit"},
	"jobhub/web/clip":        {},
	"jobhub/web/client":      {},
	"jobhub/web/peers":       {},
	"jobhub/web/gateway":     {"jobhub/hub/quantile", "jobhub/jobs", "jobhub/jobs/egress", "jobhub/jobs/httpheader", "jobhub/web/gateway/cache", "jobhub/web/gateway/match", "jobhub/web/gateway/transform", "jobhub/web/gateway/upgrade", "jobhub/web/gateway/upstream", "jobhub/web/limit", "jobhub/web/peers", "jobhub/web/stages"},
	"jobhub/web/stages":      {"jobhub/jobs"},
	"jobhub/web/spans":       {"jobhub/jobs", "jobhub/web/gateway"},
	"jobhub/web/config":      {"jobhub/jobs", "jobhub/jobs/call", "jobhub/jobs/egress", "jobhub/jobs/engine", "jobhub/jobs/httpheader", "jobhub/web/auth/jwt", "jobhub/web/clip", "jobhub/web/gateway", "jobhub/web/gateway/match", "jobhub/web/gateway/transform", "jobhub/web/gateway/upstream", "jobhub/web/limit"},
	"jobhub/web/rest":        {"jobhub/hub", "jobhub/jobs", "jobhub/jobs/engine", "jobhub/web/auth", "jobhub/web/auth/jwt", "jobhub/web/limit", "jobhub/web/peers", "jobhub/web/stages"},
	"jobhub/web/api":         {"jobhub/hub", "jobhub/jobs", "jobhub/jobs/egress", "jobhub/jobs/engine", "jobhub/jobs/engine/attempt", "jobhub/jobs/httpheader", "jobhub/jobs/schedule", "jobhub/web/auth", "jobhub/web/clip", "jobhub/web/gateway", "jobhub/web/rest"},
	"jobhub/web/batch":       {"jobhub/jobs", "jobhub/jobs/engine", "jobhub/jobs/engine/commit", "jobhub/jobs/httpheader", "jobhub/web/api", "jobhub/web/auth", "jobhub/web/clip", "jobhub/web/gateway", "jobhub/web/rest", "jobhub/web/view"},
	"jobhub/web/live":        {"jobhub/hub", "jobhub/jobs", "jobhub/jobs/engine", "jobhub/web/auth", "jobhub/web/limit", "jobhub/web/peers", "jobhub/web/rest", "jobhub/web/stages"},
	"jobhub/web/pages":       {"jobhub/hub", "jobhub/hub/quantile", "jobhub/jobs", "jobhub/jobs/engine", "jobhub/jobs/schedule", "jobhub/static", "jobhub/web/api", "jobhub/web/auth", "jobhub/web/batch", "jobhub/web/catalog", "jobhub/web/gateway", "jobhub/web/gateway/openapi", "jobhub/web/live", "jobhub/web/peers", "jobhub/web/rest", "jobhub/web/view"},
	"jobhub/web/docs":        {"jobhub/jobs", "jobhub/jobs/engine", "jobhub/static", "jobhub/web/pages", "jobhub/web/peers", "jobhub/web/rest", "jobhub/web/view"},
	"jobhub/web":             {"jobhub/hub", "jobhub/jobs", "jobhub/jobs/egress", "jobhub/jobs/engine", "jobhub/jobs/httpheader", "jobhub/web/api", "jobhub/web/auth", "jobhub/web/batch", "jobhub/web/catalog", "jobhub/web/docs", "jobhub/web/gateway", "jobhub/web/gateway/cache", "jobhub/web/gateway/match", "jobhub/web/gateway/openapi", "jobhub/web/gateway/transform", "jobhub/web/gateway/upgrade", "jobhub/web/gateway/usage", "jobhub/web/limit", "jobhub/web/live", "jobhub/web/pages", "jobhub/web/peers", "jobhub/web/rest", "jobhub/web/stages", "jobhub/web/view"},
	"jobhub/web/catalog":     {"jobhub/jobs", "jobhub/jobs/egress", "jobhub/web/auth", "jobhub/web/config", "jobhub/web/gateway", "jobhub/web/gateway/match", "jobhub/web/gateway/openapi", "jobhub/web/rest"},
	"jobhub/cmd/jobhub/app":  {"jobhub/hub", "jobhub/jobs", "jobhub/jobs/call", "jobhub/jobs/egress", "jobhub/jobs/engine", "jobhub/jobs/sqlite", "jobhub/jobs/webhook", "jobhub/web", "jobhub/web/auth", "jobhub/web/config", "jobhub/web/spans"},
	"jobhub/cmd/jobhub/demo": {"jobhub/cmd/jobhub/app", "jobhub/web/client"},
	"jobhub/cmd/jobhub":      {"jobhub/cmd/jobhub/app", "jobhub/cmd/jobhub/demo", "jobhub/jobs", "jobhub/jobs/egress", "jobhub/web/auth", "jobhub/web/client", "jobhub/web/clip", "jobhub/web/config"},

	"jobhub/web/gateway/cache":        {"jobhub/jobs", "jobhub/jobs/httpheader"},
	"jobhub/web/gateway/match":        {"jobhub/jobs", "jobhub/jobs/httpheader"},
	"jobhub/web/limit":                {"jobhub/jobs"},
	"jobhub/web/gateway/openapi":      {"jobhub/jobs", "jobhub/web/clip", "jobhub/web/gateway/openapi/jsontree", "jobhub/web/gateway/openapi/schema"},
	"jobhub/web/gateway/transform":    {"jobhub/jobs", "jobhub/jobs/httpheader", "jobhub/web/gateway/transform/jq"},
	"jobhub/web/gateway/transform/jq": {},
	"jobhub/jobs/engine/attempt":      {"jobhub/jobs", "jobhub/jobs/engine/commit"},
	"jobhub/jobs/engine/commit":       {"jobhub/jobs"},
	"jobhub/jobs/engine/transition":   {"jobhub/jobs"},
	"jobhub/web/auth/jwt":             {"jobhub/jobs"},
	"jobhub/web/auth/signature":       {"jobhub/jobs", "jobhub/jobs/httpheader", "jobhub/web/peers"},

	"jobhub/web/gateway/upstream": {"jobhub/jobs", "jobhub/jobs/egress", "jobhub/jobs/httpheader"},
	"jobhub/web/gateway/upgrade":  {"jobhub/jobs", "jobhub/jobs/egress", "jobhub/jobs/httpheader"},
	"jobhub/web/gateway/usage":    {"jobhub/hub/quantile", "jobhub/jobs", "jobhub/web/rest"},

	"jobhub/web/gateway/openapi/jsontree": {"jobhub/jobs", "jobhub/web/clip"},
	"jobhub/web/gateway/openapi/schema":   {"jobhub/jobs", "jobhub/web/clip", "jobhub/web/gateway/openapi/jsontree"},

	"jobhub/cmd/jobhub/e2e/trial":    {"jobhub/web/client"},
	"jobhub/cmd/jobhub/e2e/browser":  {"jobhub/cmd/jobhub/e2e/trial", "jobhub/web/client"},
	"jobhub/cmd/jobhub/e2e/calls":    {"jobhub/cmd/jobhub/e2e/trial", "jobhub/web/client"},
	"jobhub/cmd/jobhub/e2e/clients":  {"jobhub/cmd/jobhub/e2e/trial", "jobhub/web/client"},
	"jobhub/cmd/jobhub/e2e/commands": {"jobhub/cmd/jobhub/e2e/trial", "jobhub/web/client"},
	"jobhub/cmd/jobhub/e2e/cuts":     {"jobhub/cmd/jobhub/e2e/trial", "jobhub/hub", "jobhub/jobs", "jobhub/jobs/call", "jobhub/jobs/engine", "jobhub/jobs/schedule", "jobhub/jobs/sqlite", "jobhub/web", "jobhub/web/gateway"},
	"jobhub/cmd/jobhub/e2e/faults":   {"jobhub/cmd/jobhub/e2e/trial", "jobhub/jobs", "jobhub/jobs/sqlite", "jobhub/web/client"},
	"jobhub/cmd/jobhub/e2e/memory":   {"jobhub/cmd/jobhub/e2e/trial", "jobhub/web/client"},
}

func TestImports(t *testing.T) {
	const format = `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}{{if not .GoFiles}}{{range .TestImports}} {{.}}{{end}}{{end}}`
	out, err := exec.Command("go", "list", "-f", format, "jobhub/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		names := strings.Fields(line)
		allowed, known := mayImport[names[0]]
		if !known {
			t.Errorf("%s is not in the table of imports", names[0])
		}
		for _, name := range names[1:] {
			if strings.HasPrefix(name, "jobhub/") && !slices.Contains(allowed, name) {
				t.Errorf("%s must not import %s", names[0], name)
			}
			standard := !strings.Contains(strings.Split(name, "/")[0], ".")
			decoder := strings.HasPrefix(name, "github.com/go-json-experiment/json") || name == "github.com/google/uuid"
			if (names[0] == "jobhub/jobs" || strings.HasPrefix(names[0], "jobhub/jobs/engine")) && !standard && !decoder {
				t.Errorf("jobs must not import %s", name)
			}
		}
	}
}
