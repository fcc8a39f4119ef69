# make test is what CI runs; it installs what it needs on Debian (as root) and says
# what to install elsewhere. Three packages are tested at a time, as their tests wait more
# than they compute; those that take longest begin. They are vetted by lint.

# SQLite, as C translated to Go, is compiled without the race detector, which makes it ten
# times as slow. It has its own memory and locks; the Go code that calls it is checked.
RACE = -race -gcflags=modernc.org/sqlite/lib=-race=false

# A program with the race detector sleeps for a second before it exits, if not told otherwise.
export GORACE = atexit_sleep_ms=10

minify = go tool esbuild static/*.js static/*.css --minify --outdir=static/dist

.PHONY: test lint generate bench dev tools screenshots torture graph

test: tools lint
	go test $(RACE) -vet=off -shuffle=on -timeout 30m -p 3 ./web ./cmd/jobhub/e2e/... ./...
	go test -count=1 -run TestModel ./jobs/engine
	cd cmd/jobhub-bench && go vet ./... && go test -count=1 ./...

# Generated code is fresh, and the code is formatted and free of known mistakes.
lint:
	go tool templ generate -log-level error
	$(minify) --log-level=error
	git diff --exit-code -- '*_templ.go' static/dist
	@test -z "$$(gofmt -l . | grep -v _templ.go)" || { gofmt -l .; echo 'run gofmt -w on these'; exit 1; }
	go vet ./...
	go tool staticcheck ./...

generate:
	go tool templ generate
	$(minify)

bench:
	go -C cmd/jobhub-bench run . all

# The long form of the tests that kill the hub, stop its workers, fill its disk, fail its
# flushes, cut its power and its connections, take its memory and its slots, and give it answers larger than its memory; about ten minutes. SEED=… repeats a run's random choices.
torture: tools
	go test $(RACE) -count=1 -timeout 30m -p 1 -v -run 'TestTorture|TestReconnectStorm|TestZombieWorker|DiskFull|FullDisk|TestFsync|TestPowerCut|TestSabotageIsCaught|TestPoison|TestMemoryOfAnswers|TestCutAnywhere|TestFlippedBits|TestRestoredCopies' ./cmd/jobhub/e2e/faults ./cmd/jobhub/e2e/cuts ./cmd/jobhub/e2e/memory -torture 300
	go test -count=1 -timeout 30m -run TestFlippedBits ./jobs/sqlite -flips 500

dev:
	$(minify)
	go tool templ generate --watch --cmd 'go run ./cmd/jobhub demo'

# The graph of packages in the README.
graph:
	go test -count=1 -run TestGraph ./cmd/jobhub -update-graph

screenshots: tools
	SCREENSHOTS=$(CURDIR)/web/view/screenshots go test -count=1 -run TestScreenshots ./cmd/jobhub/e2e/browser

tools:
	@.ci/tools chromium strace python3 curl jq node:nodejs npm nginx /usr/share/nodejs/ws:node-ws /usr/lib/python3/dist-packages/websockets:python3-websockets
