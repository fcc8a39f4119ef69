// Package openapi is what an OpenAPI document does for the gateway: it finds the operation of a
// request, checks requests and answers, answers in the place of an API that is not there yet,
// compares two versions, and gives the pages what they show.
//
// What it promises:
//
//   - Parse takes OpenAPI 3.0 and 3.1, as JSON or YAML, or refuses it with a list of errors by
//     JSON pointer. Nothing is fetched: a $ref to another file or URL is an error. What has no
//     effect is a warning with its pointer; nothing is dropped silently.
//   - Parsing is bounded: in bytes, depth, values, paths, operations and schemas (limits.go here,
//     in jsontree and in schema).
//     Checking is bounded in steps, and ends with the context of the request. Regular
//     expressions are RE2, in which \s and \w are about ASCII; a pattern that Go can't compile is
//     an error of Parse.
//   - Numbers are compared as they are written, never as float64: 9007199254740993 is not
//     9007199254740992. Diff is the exception: kin-openapi, on which oasdiff stands, reads
//     minimum, maximum and multipleOf as float64.
//   - Literal segments win over parameters, from left to right. Two paths that match the same
//     request equally well are an error of Parse that names both.
//   - The document is served byte for byte as it was given (YAML as JSON), but for servers.
//
// A Document does not change after Parse and may be used by many goroutines.
//
// Call tree:
//
//	Parse                         parse.go
//	  toJSON                      yaml.go      YAML to JSON, aliases bounded
//	  jsontree.Read               JSON to nodes, every digit kept
//	  builder                     parse.go, operation.go, content.go, security.go, ref.go
//	    schema.Compiler           the schemas
//	    router.add                router.go    path templates
//	Document.Find                 router.go
//	Operation.ValidateRequest     request.go
//	  parameter                   parameter.go
//	  content                     request.go
//	    schema.Check              a value against its schema
//	Operation.ValidateResponse    response.go
//	Operation.Mock                mock.go
//	  schema.Sampler              values for schemas
//	Document.JSON                 serve.go
//	Diff                          diff.go
//	Schema.Rows, Sample           description.go
package openapi
