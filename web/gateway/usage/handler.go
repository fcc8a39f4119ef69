package usage

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/rest"
)

// Answer answers GET /v1/usage, as JSON, or as CSV if the caller prefers text/csv. The caller of
// Answer has decided what the one who asks may see. Like a rest.Handler it returns an error if
// it has written nothing.
func (u *Usage) Answer(w http.ResponseWriter, r *http.Request, scope Scope) error {
	values, err := rest.ReadQuery(r, "by", "from", "to", "step")
	if err != nil {
		return err
	}
	q, err := parse(values)
	if err != nil {
		return err
	}
	q.Scope = scope
	a, err := u.Ask(r.Context(), time.Now(), q)
	if err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept")
	if prefersCSV(r.Header.Values("Accept")) {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="usage.csv"`)
		w.Header().Set("Cache-Control", "no-store")
		a.WriteCSV(w)
		return nil
	}
	return rest.WriteJSON(w, http.StatusOK, a.AppendJSON(nil))
}

// parse reads the query of a request. Its error, with status 400, names the parameter.
func parse(values url.Values) (q Question, err error) {
	for name, all := range values {
		if len(all) != 1 {
			return q, rest.BadParameter(name, "is given more than once")
		}
	}
	if by := values.Get("by"); by != "" {
		q.By = strings.Split(by, ",")
	}
	for i, word := range q.By {
		if !slices.Contains(Words, word) || slices.Contains(q.By[:i], word) {
			return q, rest.BadParameter("by", "must be some of "+strings.Join(Words, ", ")+", each once, separated by commas")
		}
	}
	if q.From, err = parseTime(values, "from"); err != nil {
		return q, err
	}
	if q.To, err = parseTime(values, "to"); err != nil {
		return q, err
	}
	switch values.Get("step") {
	case "":
	case "1m":
		q.Step = time.Minute
	case "1h":
		q.Step = time.Hour
	case "1d":
		q.Step = oneDay
	default:
		return q, rest.BadParameter("step", "must be 1m, 1h or 1d")
	}
	return q, nil
}

// parseTime reads a time as RFC 3339 has it, or a date, which begins at midnight in UTC.
func parseTime(values url.Values, name string) (time.Time, error) {
	text := values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(form, text); err == nil && at.Year() > 0 {
			return at, nil
		}
	}
	return time.Time{}, rest.BadParameter(name, "must be a time like 2026-11-30T08:00:00Z or a date like 2026-11-30; write a + in it as %2B")
}

// prefersCSV reports whether a request asks for CSV rather than JSON: it names text/csv or
// text/*, and application/json not before it or with a higher weight.
func prefersCSV(accept []string) bool {
	best, prefers := 0.0, false
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, parameters, err := mime.ParseMediaType(part)
		if err != nil || kind != "text/csv" && kind != "text/*" && kind != "application/json" {
			continue
		}
		weight := 1.0
		if q, given := parameters["q"]; given {
			if weight, err = strconv.ParseFloat(q, 64); err != nil || weight > 1 {
				continue
			}
		}
		if weight > best {
			best, prefers = weight, kind != "application/json"
		}
	}
	return prefers
}

var numberNames = []string{"from", "count", "errors", "p50_ms", "p95_ms", "p99_ms", "bytes_in", "bytes_out", "cost"}

// AppendJSON appends the answer as JSON: {"from","to","usage":[…]}. The status is a number, the
// other words are strings; the cost is in nano-USD.
func (a Answer) AppendJSON(b []byte) []byte {
	b = append(b, `{"from":`...)
	b = jobs.AppendString(b, textOf(a.From))
	b = append(b, `,"to":`...)
	b = jobs.AppendString(b, textOf(a.To))
	b = append(b, `,"usage":[`...)
	for i, row := range a.Rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		for j, word := range a.By {
			b = append(append(append(b, '"'), word...), `":`...)
			if word == "status" {
				b = append(b, row.Words[j]...)
			} else {
				b = jobs.AppendString(b, row.Words[j])
			}
			b = append(b, ',')
		}
		for j, number := range row.numbers() {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(append(append(b, '"'), numberNames[j]...), `":`...)
			if j == 0 {
				b = jobs.AppendString(b, number)
			} else {
				b = append(b, number...)
			}
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

// numbers returns the members of a row that have the names in numberNames.
func (r *Row) numbers() []string {
	ms := func(d time.Duration) string {
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', -1, 64)
	}
	return []string{textOf(r.From), strconv.FormatUint(r.Count, 10), strconv.FormatUint(r.Errors, 10), ms(r.P50), ms(r.P95), ms(r.P99),
		strconv.FormatInt(r.In, 10), strconv.FormatInt(r.Out, 10), strconv.FormatInt(r.Cost, 10)}
}

// WriteCSV writes the answer as CSV (RFC 4180) with a line of names. All words are quoted.
// Spreadsheets take a text that begins with = + - @, a tab or a line break for a formula; so
// such a text, and one that begins with an apostrophe, gets an apostrophe before it. Whoever
// reads the text takes one apostrophe at its beginning away; JSON has it as it is.
func (a Answer) WriteCSV(w io.Writer) error {
	b := []byte(strings.Join(slices.Concat(a.By, numberNames), ",") + "\r\n")
	for _, row := range a.Rows {
		for _, word := range row.Words {
			b = append(b, '"')
			if word != "" && strings.IndexByte("=+-@\t\r\n'", word[0]) >= 0 {
				b = append(b, '\'')
			}
			b = append(append(b, strings.ReplaceAll(word, `"`, `""`)...), `",`...)
		}
		b = append(append(b, strings.Join(row.numbers(), ",")...), "\r\n"...)
	}
	_, err := w.Write(b)
	return err
}
