package rest

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"jobhub/jobs"
)

// JobID returns the job id in the path of a request; see ParseID for its error.
func JobID(r *http.Request) (jobs.ID, error) { return ParseID(r.PathValue("id")) }

// ParseID reads a job id. The error for a text that is not one is jobs.ErrNotFound: no job has
// that id.
func ParseID(text string) (jobs.ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return jobs.ID{}, jobs.ErrNotFound
	}
	return id, nil
}

var filterParameters = []string{"state", "queue", "kind", "tag", "parent", "q", "limit", "cursor"}

// FormatCursor returns the cursor for position n, with a check sum: a damaged cursor must not
// be taken for another position.
func FormatCursor(n uint64) string {
	return strconv.FormatUint(n, 36) + "." + strconv.FormatUint(n%cursorCheck, 36)
}

const cursorCheck = 1_000_003

// parseCursor is the inverse of FormatCursor.
func parseCursor(text string) (uint64, error) {
	place, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseUint(place, 36, 63)
	if err != nil || n == 0 || FormatCursor(n) != text {
		return 0, errors.New("no cursor")
	}
	return n, nil
}

// ParseFilter reads the query of a list of jobs. Its error is a *jobs.Problem that names the
// parameter.
func ParseFilter(query url.Values) (f jobs.Filter, err error) {
	if err := CheckParameters(query, filterParameters...); err != nil {
		return f, err
	}
	for name, values := range query {
		if len(values) != 1 && name != "state" {
			return f, BadParameter(name, "is given more than once")
		}
		value := strings.Join(values, ",")
		if value == "" {
			continue
		}
		switch name {
		case "state":
			for word := range strings.SplitSeq(value, ",") {
				state, ok := jobs.ParseState(word)
				if !ok {
					return f, BadParameter(name, "must be names of states, separated by commas")
				}
				if !slices.Contains(f.States, state) {
					f.States = append(f.States, state)
				}
			}
		case "queue":
			f.Queue = value
		case "kind":
			f.Kind = value
		case "tag":
			f.Tag = value
		case "parent":
			if f.Parent, err = ParseID(value); err != nil {
				return f, BadParameter(name, "must be the id of a job")
			}
		case "q":
			if f.Text = value; len(value) > MaxSearchText || !utf8.ValidString(value) {
				return f, BadParameter(name, "must be up to 256 bytes of UTF-8")
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(value); err != nil || f.Limit < 1 || f.Limit > 500 {
				return f, BadParameter(name, "must be a number from 1 to 500")
			}
		case "cursor":
			if f.Before, err = parseCursor(value); err != nil {
				return f, BadParameter(name, "must be the next_cursor of a page")
			}
		}
	}
	return f, nil
}
