package pages

import (
	"bufio"
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/rest"
)

const exportPage = 500 // jobs read at a time

// export answers with all jobs that the page's filter selects, newest first. It reads them
// page by page, so that its memory does not grow with their number. After an error the
// connection is broken off, so that the download is seen to be incomplete.
func (s tables) export(contentType, name string, writer func(*bufio.Writer) func(*jobs.Job, jobs.Position) error) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		values, err := rest.ReadQuery(r)
		var q tableQuery
		if err == nil {
			q, err = parseTable(rest.Tenant(r), values)
		}
		q.filter.Limit = exportPage
		var page jobs.Page
		if err == nil {
			page, err = s.tablePage(r.Context(), q)
		}
		if err != nil {
			return err
		}
		ctx, stop := s.WhileValid(r.Context(), rest.IdentityOf(r))
		defer stop()
		attachment(w, contentType, name)
		out := bufio.NewWriter(w)
		write := writer(out)
		for err == nil {
			for i := range page.Jobs {
				if err == nil {
					shown := withoutAddresses(page.Jobs[i])
					err = write(&shown, page.Pos)
				}
			}
			if err == nil {
				err = out.Flush()
			}
			if err != nil || page.Next == 0 {
				break
			}
			http.NewResponseController(w).Flush()
			q.filter.Before = page.Next
			page, err = s.tablePage(ctx, q)
		}
		if err != nil {
			if ctx.Err() == nil {
				s.Logger.Error("an export broke off", "error", err)
			}
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// ndjson writes one job per line, like the list of the API, but with the URLs of callbacks cut.
func ndjson(w *bufio.Writer) func(*jobs.Job, jobs.Position) error {
	var line []byte
	return func(j *jobs.Job, pos jobs.Position) error {
		line = append(rest.AppendJob(line[:0], j, pos), '\n')
		_, err := w.Write(line)
		return err
	}
}

var csvColumns = []string{"id", "kind", "queue", "state", "reason", "priority", "tags", "attempt", "max_attempts", "created_at", "scheduled_at", "started_at", "finished_at",
	"percent", "message", "error", "input", "result", "retry_of", "parent"}

// csvRows writes one job per row (RFC 4180).
func csvRows(w *bufio.Writer) func(*jobs.Job, jobs.Position) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	moment := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	id := func(id jobs.ID) string {
		if id == (jobs.ID{}) {
			return ""
		}
		return id.String()
	}
	w.WriteString(strings.Join(csvColumns, ",") + "\r\n") // also if there are no jobs; an error is returned by the flush
	return func(j *jobs.Job, _ jobs.Position) error {
		var percent, message, problem string
		if p := j.Progress; p != nil {
			message = p.Message
			if p.Percent != nil {
				percent = strconv.FormatFloat(*p.Percent, 'f', -1, 64)
			}
		}
		if j.Error != nil {
			problem = strings.TrimSuffix(j.Error.Title+": "+j.Error.Detail, ": ")
		}
		row := []string{j.ID.String(), j.Kind, j.Queue, j.State.String(), string(j.Reason), strconv.Itoa(j.Priority), strings.Join(j.Tags, " "),
			strconv.Itoa(j.Attempt), strconv.Itoa(j.MaxAttempts), moment(j.CreatedAt), moment(j.ScheduledAt), moment(j.StartedAt), moment(j.FinishedAt),
			percent, message, problem, string(j.Input), string(j.ResultValue()), id(j.RetryOf), id(j.Parent)}
		for i, name := range csvColumns {
			row[i] = strings.ToValidUTF8(row[i], "\ufffd")
			if name != "priority" { // the only number that may begin with a minus
				row[i] = harmless(row[i])
			}
		}
		if err := out.Write(row); err != nil {
			return err
		}
		out.Flush()
		return out.Error()
	}
}

// harmless keeps a spreadsheet from running a cell as a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(cell)[0]) {
		return "'" + cell
	}
	return cell
}
