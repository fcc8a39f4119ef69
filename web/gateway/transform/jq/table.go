package jq

// What the rewriter does with functions of gojq that are not as they should be for documents
// of strangers, by name and number of arguments. All others take one step at a time or time in
// proportion to their input, and keep nothing; a test finds those that a new gojq adds.

// refused says what to do instead of a function that is not there.
var refused = map[string]string{
	"input":         "a program has one input, the document: use . instead",
	"inputs":        "a program has one input, the document: use .[] for the parts of an array",
	"debug":         "delete it: nobody reads what it prints",
	"stderr":        "delete it: nobody reads what it prints",
	"halt":          "use empty or error(\"why\") instead",
	"halt_error":    "use error(\"why\") instead",
	"env":           "a program sees only the document; write the value into the program",
	"$ENV":          "a program sees only the document; write the value into the program",
	"modulemeta":    "there are no modules; define functions in the program itself",
	"builtins":      "it says what gojq has, not what may be used here",
	"localtime":     "it depends on the time zone of the machine: use gmtime",
	"strflocaltime": "it depends on the time zone of the machine: use strftime",
	"jn":            "Bessel functions of high order take too long",
	"yn":            "Bessel functions of high order take too long",
}

// before is the function that runs on the input of a function first.
var before = map[string]string{
	// copies of one level
	"keys/0": ":copy", "reverse/0": ":copy", "ascii_downcase/0": ":copy", "ascii_upcase/0": ":copy",
	// of a character or byte to a value
	"explode/0": ":spread", "implode/0": ":spread", "split/1": ":spread", "fromjson/0": ":spread",
	// all levels
	"tostring/0": ":text", "format/1": ":walk", "flatten/0": ":walk", "flatten/1": ":walk",
	"sort/0": ":walk", "min/0": ":walk", "max/0": ":walk", "unique/0": ":walk", "delpaths/1": ":walk",
	// special
	"error/0": ":walk", "add/0": ":sum", "transpose/0": ":matrix", "tonumber/0": ":literal",
}

// instead is the function that replaces a function.
var instead = map[string]string{"tojson/0": ":json"}

// with is the function that runs first on the input and argument of a function with one.
var with = map[string]string{
	"contains/1": ":product", "inside/1": ":product", "index/1": ":product", "rindex/1": ":product", "indices/1": ":product",
	"bsearch/1": ":product", "join/1": ":join", "error/1": ":argument", "strftime/1": ":format",
}

// patterns are the functions whose first argument is a regular expression; the value is the
// index of the argument with the flags, -1 if there is none.
var patterns = map[string]int{
	"match/1": -1, "match/2": 1, "test/1": -1, "test/2": 1, "capture/1": -1, "capture/2": 1, "scan/1": -1, "scan/2": 1,
	"split/2": 1, "splits/1": -1, "splits/2": 1, "sub/2": -1, "sub/3": 2, "gsub/2": -1, "gsub/3": 2,
}
