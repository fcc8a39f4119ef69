package jobs

// Document is a small record beside the jobs, like a schedule.
type Document struct {
	Tenant string
	Kind   string
	Name   string
	Data   Value
}

// DocumentChange is one compare-and-set on a document: it applies if the stored data are
// still the same bytes as Was (nil: there must be none). Data of nil delete the document.
type DocumentChange struct {
	Document
	Was Value

	Err error // outcome: nil, ErrConflict or ErrDamaged
}
