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

// JobID is the id in the path. What is not an id is the id of no job.
func JobID(r *http.Request) (jobs.ID, error) { return ParseID(r.PathValue("id")) }

func ParseID(text string) (jobs.ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != 36 {
		return jobs.ID{}, jobs.ErrNotFound
	}
	return id, nil
}

var filterParameters = []string{"state", "queue", "kind", "tag", "parent", "q", "limit", "cursor"}

// FormatCursor writes the place of a page, with a check: a damaged cursor must not look
// like another place.
func FormatCursor(n uint64) string {
	return strconv.FormatUint(n, 36) + "." + strconv.FormatUint(n%cursorCheck, 36)
}

const cursorCheck = 1_000_003

func parseCursor(text string) (uint64, error) {
	place, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseUint(place, 36, 63)
	if err != nil || n == 0 || FormatCursor(n) != text {
		return 0, errors.New("no cursor")
	}
	return n, nil
}

func ParseFilter(query url.Values) (f jobs.Filter, err error) {
	if err := CheckParameters(query, filterParameters...); err != nil {
		return f, err
	}
	for name, values := range query {
		if len(values) != 1 && name != "state" {
			return f, BadParameter(name, "stands there more than once")
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
					return f, BadParameter(name, "takes names of states, with commas between them")
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
				return f, BadParameter(name, "takes the id of a job")
			}
		case "q":
			if f.Text = value; len(value) > MaxSearchText || !utf8.ValidString(value) {
				return f, BadParameter(name, "takes up to 256 bytes of UTF-8")
			}
		case "limit":
			if f.Limit, err = strconv.Atoi(value); err != nil || f.Limit < 1 || f.Limit > 500 {
				return f, BadParameter(name, "takes a number from 1 to 500")
			}
		case "cursor":
			if f.Before, err = parseCursor(value); err != nil {
				return f, BadParameter(name, "takes the next_cursor of a page")
			}
		}
	}
	return f, nil
}
