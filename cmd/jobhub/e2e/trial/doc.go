// Package trial is what the end-to-end tests share: they start the real program as its users
// do, and talk to it over HTTP, WebSocket, its command line and a browser.
//
// A Process is a program that a test started, a Hub is one that runs jobhub serve, a Page is
// a tab of Chromium. Stream, Gate and Receiver are upstreams for jobs to call. Whatever
// these start ends with the test. What should come at once is waited for no longer than
// Patience.
//
// The test packages beside this one each run alone, like
//
//	go test ./cmd/jobhub/e2e/browser -run TestPageJobs
//
// and all of them one after the other with -p 1: they share the machine's processors and
// memory.
package trial
