// Package schema checks values with the JSON Schemas of an OpenAPI document, makes samples of
// them and describes them in words.
//
// What it promises:
//
//   - A Compiler reads schemas of OpenAPI 3.0 and 3.1 (JSON Schema 2020-12). Errors go to its
//     Report, and a keyword without effect is a warning: nothing is dropped silently. Nothing is
//     fetched: a $ref leads to a place in the same document. Regular expressions are RE2.
//   - A Check is bounded in steps and in depth, keeps the first 100 faults, and ends with its
//     context.
//   - Numbers are compared as they are written, never as float64.
//   - A sample is the same one each time: first what the document gives, else a value made from
//     the limits. It is tried, not promised, that a made one fits.
//
// A Schema does not change after CompileAll, and may then be used by many goroutines. A Check and
// a Sampler are each for one goroutine.
//
// Call tree:
//
//	Compiler.SchemaAt        compile.go   a schema to be compiled
//	Compiler.CompileAll      compile.go
//	  keyword                keywords.go
//	  Target                 target.go    what a $ref names
//	  findLoops              compile.go
//	Check.Value              eval.go      a whole value
//	  eval                   eval.go
//	    object               eval_object.go
//	    array                eval_array.go
//	    string, number       eval_scalar.go, format.go
//	    combined             eval.go      allOf, anyOf, oneOf, not, if
//	Check.Scalar, List, ObjectOf   coerce.go   texts of parameters and forms as values
//	Sampler.Sample           sample.go
//	Schema.Rows              rows.go
//	Unrolls                  unroll.go    what comparing two documents would cost
package schema
