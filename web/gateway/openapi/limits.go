package openapi

// The limits of a document. What is over one of them is refused by Parse, with the limit in the
// text of the error.
const (
	MaxJSON       = 16 << 20 // bytes of a JSON document
	MaxYAML       = 4 << 20  // bytes of a YAML document, which takes more time and memory to read
	MaxPaths      = 10_000
	MaxOperations = 20_000

	maxMixed = 500 // path segments like {id}.json at one place
)
