package docs

import (
	"fmt"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/peers"
	"jobhub/web/rest"
)

// limitRow is a row of the page of limits.
type limitRow struct{ what, most, over string }

func timeText(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// limitRows are the limits of the code, as the page of limits lists them.
func limitRows() []limitRow {
	count := func(n int) string { return fmt.Sprint(n) }
	return []limitRow{
		{"A peer that neither sends nor reads a byte while it has to", timeText(rest.StallLimit), "`408` if it owes a body, close code `4001` for a WebSocket; closed"},
		{"Head of a request", jobs.SizeText(rest.MaxHeader) + ", " + timeText(rest.HeaderTimeout), "`431`; closed"},
		{"Connection between two requests", timeText(rest.IdleTimeout), "closed"},
		{"Connections of an address, or of a /64 of IPv6; not from this machine and trusted proxies", count(rest.ConnectionsPerAddress) + ", `limits.connections_per_address`", "`503`, `limit_exceeded`; closed"},
		{"Connections in all", "three quarters of the files that the process may open; some are kept for this machine", "the connection that was silent longest is closed; if there is none, `503`"},
		{"Wrong keys and tokens of an address", count(rest.WrongKeys) + " at once, and one a second", "`429`, `rate_limited`; valid ones are never refused"},
		{"Queues of a tenant", count(engine.DefaultQueues) + ", `limits.queues`", "`422`, `limit_exceeded`"},
		{"Kinds of a tenant, since the hub started, without those that the hub runs itself", count(engine.DefaultKinds) + ", `limits.kinds`", "`422`, `limit_exceeded`"},
		{"Body of a submission", jobs.SizeText(jobs.MaxInput), "`413`, `too_large`"},
		{"Body of a batch", jobs.SizeText(rest.MaxBatch) + ", " + count(rest.MaxItems) + " requests", "`413`, `too_large`"},
		{"Result of a job", jobs.SizeText(rest.MaxResult), "`413`, `too_large`"},
		{"One call of a worker with reports", jobs.SizeText(rest.MaxReport), "`413`, `too_large`"},
		{"Slots of a worker", count(engine.MaxSlots), "`422`"},
		{"Text to search for", jobs.SizeText(rest.MaxSearchText), "`400`"},
		{"Jobs, queues and tags of a token", count(rest.MaxGrantEntries), "`422`"},
		{"Keys of a tenant; the first one that was revoked or has expired makes room", count(rest.MaxKeys), "`422`, `limit_exceeded`"},
		{"Scopes of a key", count(rest.MaxScopes), "`422`"},
		{"Keys on a page of `/v1/keys`", count(rest.MaxKeysPage) + ", by default " + count(rest.DefaultKeysPage), "`next_cursor`"},
		{"APIs of a tenant; versions of an API; routes of a version", count(rest.MaxAPIs) + "; " + count(rest.MaxVersions) + "; " + count(rest.MaxVersionRoutes), "`422`"},
		{"OpenAPI document; all versions of a tenant", jobs.SizeText(rest.MaxOpenAPI) + "; " + jobs.SizeText(rest.MaxVersionBytes), "`413`, `too_large`"},
		{"Requests for access to the APIs of a tenant; of one caller", count(rest.MaxAccess) + "; " + count(rest.MaxAccessOfOne), "`429`, `limit_exceeded`"},
		{"Answer that is compared with its OpenAPI document", jobs.SizeText(rest.MaxChecked), "not compared"},
		{"Queues on a page of `/v1/queues`", count(rest.MaxQueues), "`next_cursor`"},
		{"Queues with figures of their own in `/metrics`", count(rest.MaxQueueSeries), "counted as `other`"},
		{"Answer to an item of a batch", jobs.SizeText(rest.MaxAnswer), "`502` for the item"},
		{"Answers to a batch", jobs.SizeText(rest.MaxAnswers), "`502` for the item"},
		{"Compressed answer of an upstream that is decompressed for a client", jobs.SizeText(rest.MaxDecoded), "sent compressed"},
		{"Long answers in memory, all together; most are streamed and need none", jobs.SizeText(rest.MaxBufferedAnswers), "`503`"},
		{"Message of a WebSocket client", jobs.SizeText(rest.MaxMessage), "close code `1009`"},
		{"Subscriptions of a WebSocket", count(rest.MaxSubscriptions), "`limit_exceeded`"},
		{"Jobs in the snapshot of a subscription", count(rest.MaxSnapshot), "`truncated`"},
		{"Time until a WebSocket without credentials sends `hello`", timeText(rest.HelloTimeout), "close code `4408`"},
	}
}

// limitsPlace marks where the page has the table.
const limitsPlace = "{limits}\n"

// limitsTable is the table in Markdown.
func limitsTable() string {
	var b strings.Builder
	b.WriteString("| what | limit | over the limit |\n|---|---|---|\n")
	for _, r := range limitRows() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.what, r.most, r.over)
	}
	total, reserve := peers.ConnectionLimits(peers.MaxOpenFiles())
	fmt.Fprintf(&b, "\nThis hub takes %d connections, and keeps %d of them for its own machine.\n", total, reserve)
	return b.String()
}
