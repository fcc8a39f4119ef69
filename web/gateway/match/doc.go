// Package match finds the best rule for a request, by host, path, method, headers and query.
//
// # Promises
//
//   - Each request has at most one best rule. Two rules that could match one request equally
//     well are refused when the table is made (conflict.go).
//   - A path is read in all combinations of what servers do: its escapes decoded once or not at
//     all; escaped slashes, backslashes and ; parameters taken as such or not; empty segments
//     kept or left out. All readings must give the same rule and the same parameters, else the
//     request is refused (reading.go). What is decided for the rule therefore holds for what
//     the upstream sees. Not covered are upstreams that decode twice or ignore the case.
//   - Find does not change the table, so any number of goroutines may call it. It costs a few
//     map look-ups for each segment of the path, however many rules there are, and allocates
//     nothing for a path of ordinary characters, except for the parameters. The worst case, of
//     rules made for it, is proportional to their number.
//
// # Paths of rules
//
// A path begins with a slash. Each segment is literal, or a parameter {name}, which takes one
// segment that is not empty. A path without a slash at its end matches itself and what continues
// with a slash: /a/{id} matches /a/1, /a/1/ and /a/1/b. A path that ends in a slash matches what
// is below it: /a/ matches /a/ and /a/b, but not /a. Only whole segments match: /a never
// matches /ab.
//
// # The best rule
//
// Of all rules that match a request, the best one is found by these criteria. Each one only
// decides between rules that are equal by those before it:
//
//  1. a host is given
//  2. more literal segments
//  3. a longer path: more segments, then a slash at the end
//  4. methods are given
//  5. more headers
//  6. more query parameters
//
// The exact path goes first by this: of the rules that match /a/b, none has more literal segments
// than /a/b itself, and none that has as many is longer. Between templates the number of literal
// segments decides: for /a/b/c the rule /a/{x}/c goes before /a/{x}/{y}. Between prefixes both
// criteria are the same, and the longest one goes first. Between a template and a prefix the
// literal segments decide, too, and only if these are equal the length: /admin/ goes before
// /{x}/{y}, but /a/{x} before /a/.
//
// Whether a template takes the whole path or leaves a rest does not matter by itself. So all
// criteria are properties of a rule alone, and never depend on the request.
//
// # The way of a request
//
//	NewTable → compile each rule (rule.go) → conflicts → tree of segments, by host (index.go)
//	FromHTTP (request.go) → Find (table.go) → search the tree by the path as it came
//	                          └ for a path that is not plain: by all its other readings
package match
