package jsontree

// The limits of what is read, and of what a Report lists.
const (
	MaxValues = 500_000 // JSON values in a document or in a body

	MaxNumber = 1_000 // characters of a number
	MaxErrors = 100   // errors and warnings that are listed
)
