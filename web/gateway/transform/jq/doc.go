// Package jq changes JSON documents with jq programs that strangers' documents can't turn
// against the hub.
//
// What it promises:
//
//   - A value that a program only copies keeps its bytes: numbers every digit and their form,
//     strings their escapes, arrays and objects their white space and the order of their
//     members. A program that changes nothing returns the document itself.
//   - Members of an object that the program made come in the order of its text; members of one
//     that it changed in the order of the document, then new ones.
//   - A document with duplicate members, broken UTF-8 or anything behind its end is refused.
//   - A run has a budget of steps that depends on the size of the document alone, so that the
//     same document has the same verdict on every machine. What copies or compares many values
//     in one step pays for all of them. Output and depth are bounded, too, and a run ends with
//     its context, or after MaxTime.
//   - A program sees nothing but the document: no environment, files, modules or further inputs.
//   - It has exactly one result, or an error that says so.
//
// Programs run on github.com/itchyny/gojq. Where its functions can take time or memory out of
// proportion, the program is rewritten when it is compiled:
//
//	Compile ─ parse ─ rewriter: refused, guarded and replaced functions (rewrite.go, table.go)
//	                  └ prelude.jq: definitions of jq's own functions from guarded ones
//	Run ─ decode (document.go)         the value, and where each part of it stands in the document
//	    ─ machine (machine.go)         steps and charges; guards.go, regex.go: the functions of the rewriter
//	    ─ encode (output.go)           parts of the document as they came, all others written anew
//
// Differences from jq 1.7 that a program can notice:
//
//   - Integers of any size are computed exactly; jq computes with 64-bit floating point.
//   - keys_unsorted, ltrimstr of non-strings, getpath and others are as gojq has them; objects
//     are iterated in the order of their names, not in that of the document.
//   - Regular expressions are Go's (RE2): no look-around and no back-references. They must be
//     literal texts in the program, with the flags g, i and m.
//   - input, debug, halt, env, modules and their like are errors when the program is compiled.
//   - Two decimals are equal if they are the same 64-bit floating point number.
package jq
