package openapi

// The limits of a document. What is over one of them is refused by Parse, with the limit in the
// text of the error.
const (
	MaxJSON       = 16 << 20 // bytes of a JSON document
	MaxYAML       = 4 << 20  // bytes of a YAML document, which takes more time and memory to read
	MaxPaths      = 10_000
	MaxOperations = 20_000
	MaxValues     = 500_000 // JSON values in a document or in a body
	MaxSchemas    = 100_000
	MaxPattern    = 1_000 // bytes of a regular expression

	maxNumber       = 1_000      // characters of a number
	maxInstructions = 5_000      // of a compiled regular expression
	maxMixed        = 500        // path segments like {id}.json at one place
	maxErrors       = 100        // errors and warnings that are listed
	maxFaults       = 100        // faults of one request
	maxRefCost      = 10_000_000 // references times the size of what they name: kin-openapi walks all of it
	maxRefChain     = 64         // references that name references

	maxSteps = 1_000_000 // of one check; a schema applied to a value is a step of about 0.2 µs
	maxEval  = 4_000     // schemas and values inside one another while checking
)
