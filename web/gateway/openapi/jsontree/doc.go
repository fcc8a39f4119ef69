// Package jsontree holds JSON values as trees of nodes, with the places in them and what is wrong
// there.
//
// What it promises:
//
//   - Read takes one JSON value in UTF-8 without duplicate members, and refuses what is over a
//     limit (limits.go): levels, values, characters of a number. Place says where and why.
//   - Numbers keep the text that was written. A Decimal compares them without loss: 1.0 is 1, and
//     9007199254740993 is not 9007199254740992. The time of each operation is bounded by the
//     length of the text, however large the exponent is.
//   - A Path costs little until its Pointer is asked for. Pointers and details are UTF-8 and of
//     bounded length, whatever was read.
//   - A Report keeps the first errors and warnings, MaxErrors of each.
//
// Nodes do not change once they are read, and may then be used by many goroutines.
//
// Call tree:
//
//	Read                  node.go      JSON to a Node
//	Place                 node.go      where an error of Read is
//	Node.Get, Str, IsTrue node.go      members of objects
//	ParseDecimal          decimal.go   the number of a Node
//	Path.Pointer          path.go      a place as a JSON pointer
//	Report.Fail, Warn     report.go    faults with their places
package jsontree
