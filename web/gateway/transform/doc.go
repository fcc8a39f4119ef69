// Package transform changes requests before they go to an upstream, and answers before they
// go to the caller, by rules of a route.
//
// What it promises:
//
//   - What no rule touches passes byte for byte: other parameters of a query, in their order;
//     escaped segments of a path; members of a body that a program only copies, with every
//     digit and [] as []. A body that its rule leaves as it is keeps its bytes, its encoding
//     and its validators.
//   - A rule is checked when it is compiled: unknown names in templates, headers that are the
//     hub's, and programs that can't be run are errors that say what to write instead.
//   - A value of the request can't break out of its place: it is escaped in a path and a query,
//     and refused with 400 where it would make another path or a broken header. A header rule
//     whose value is missing removes the header, so that the caller can't set it instead.
//   - A body is changed whole or not at all. A rule for bodies is for JSON: other types are
//     refused (415, answers 502), and so are larger bodies than the route allows, also after
//     decoding (413, answers 502). gzip, deflate, br and zstd are decoded and encoded again.
//   - A changed body loses the headers that describe other bytes: Content-Length, ETag,
//     Last-Modified, Digest, Content-Digest, Repr-Digest, Content-MD5, Accept-Ranges.
//   - The errors are *jobs.Problem with a status. Those about answers don't show what the
//     upstream sent.
//
// What happens to answers with a rule for bodies:
//
//	2xx with JSON                          changed
//	2xx of another type, streams included  502: event streams and NDJSON are never collected
//	206                                    502: a part can't be changed (Prepare removes Range)
//	1xx, 3xx, 4xx, 5xx                     pass with their bodies: errors keep their form
//	204, 205, 304, no body                 pass
//	answers to HEAD                        pass without the headers that describe other bytes
//
// Headers are changed in all answers but 1xx.
//
//	CompileRequest, CompileResponse (rules.go) ─ template.go, header.go, query.go, path.go, jq.Compile
//	Request.Apply, Request.Whole (request.go) ─ path, query, headers; body.go
//	Response.Prepare, Response.Apply, Response.Whole (response.go) ─ body.go; headers
//	body.go ─ coding.go (content encodings) ─ jq.Program.Run
package transform
