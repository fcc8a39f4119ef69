package schema

// The limits of schemas and of checks. A schema that is over one of them is an error of its
// document.
const (
	MaxSchemas = 100_000
	MaxPattern = 1_000 // bytes of a regular expression

	maxInstructions = 5_000      // of a compiled regular expression
	MaxFaults       = 100        // faults of one request
	maxRefCost      = 10_000_000 // references times the size of what they name: kin-openapi walks all of it
	MaxRefChain     = 64         // references that name references

	maxSteps = 1_000_000 // of one check; a schema applied to a value is a step of about 0.2 µs
	maxEval  = 4_000     // schemas and values inside one another while checking
)
