package catalog

import (
	"slices"
	"strings"
)

// State is the state of a version.
type State string

const (
	Draft      State = "draft"      // only its owners may call it
	Published  State = "published"  // callers need access, unless the API is open
	Deprecated State = "deprecated" // likewise; answers say so
	Retired    State = "retired"    // nobody may call it any more
)

// States are all states of a version, in their order.
var States = []State{Draft, Published, Deprecated, Retired}

// moves has the states to which a version can go from each state. Repeating the last move is
// allowed: it changes nothing but what it carries, like a sunset.
var moves = map[State][]State{
	Draft:      {Published},
	Published:  {Published, Deprecated, Retired},
	Deprecated: {Deprecated, Retired},
	Retired:    {Retired},
}

// AccessState is the state of a caller's access.
type AccessState string

const (
	Pending   AccessState = "pending" // until somebody decides
	Active    AccessState = "active"
	Rejected  AccessState = "rejected"
	Suspended AccessState = "suspended"
)

// AccessStates are all states of an access.
var AccessStates = []AccessState{Pending, Active, Rejected, Suspended}

// decisions has the states from which each decision can be made. Who was rejected may ask again,
// and an owner may change its mind.
var decisions = map[AccessState][]AccessState{
	Active:    {Pending, Active, Rejected, Suspended},
	Rejected:  {Pending, Rejected},
	Suspended: {Active, Suspended},
}

// words joins names for people.
func words[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = string(list[i])
	}
	return strings.Join(texts, ", ")
}

func isOneOf[T ~string](word T, list []T) bool { return slices.Contains(list, word) }
