package pages

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"jobhub/jobs"
	"jobhub/static"
	"jobhub/web/auth"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// pagePolicy lets a page load only the hub's own files, and nothing inline.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types jobhub"

func (s *Server) staticFiles(w http.ResponseWriter, r *http.Request) error {
	policy := w.Header().Get("Content-Security-Policy")
	w.Header().Del("Content-Security-Policy")
	if !static.Serve(w, r) {
		w.Header().Set("Content-Security-Policy", policy)
		s.Fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There is no file %s.", r.URL.Path))
	}
	return nil
}

func (s *Server) Shell(r *http.Request, pos jobs.Position) view.Shell {
	shell := view.Shell{Epoch: pos.Epoch, Seq: pos.Seq, At: time.Now(), Version: s.Version, Store: s.StoreName, Asset: static.Path}
	who, ok := rest.IdentityFromContext(r.Context())
	if ok && who.Key != "" {
		shell.User, shell.ReadOnly = who.Name, !who.May(auth.Cancel, auth.Target{})
	}
	if ok {
		shell.Operator, shell.Admin = who.May(auth.Operate, auth.Target{}), who.May(auth.Administer, auth.Target{}) && rest.IsHubTenant(who.Tenant)
	}
	return shell
}

func (s *Server) FailPage(w http.ResponseWriter, r *http.Request, err error) {
	p := rest.ProblemOf(err)
	if p.Status >= 500 && rest.ClientContext(r.Context()).Err() == nil {
		s.Logger.Error("page failed", "path", r.URL.Path, "error", err)
	}
	if p.Code == rest.RateLimited {
		w.Header().Set("Retry-After", "1")
	}
	if err := s.Page(w, r, p.Status, view.ErrorPage(s.Shell(r, s.Hub.Position()), p.Status, p.Title, p.Detail)); err != nil {
		s.Fail(w, r, err)
	}
}

func (s *Server) Page(w http.ResponseWriter, r *http.Request, status int, c templ.Component) error {
	var b bytes.Buffer                        // a page that fails half-way is an error, not half a page
	ctx := context.WithoutCancel(r.Context()) // it ends when the request's body breaks off, and the page that says so is still rendered
	if err := c.Render(view.WithBase(ctx, s.BasePath), &b); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send the pages' own forms with Origin: null
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Accept-Encoding")
	content := readable(b.Bytes())
	if static.TakesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		content = zipped(content)
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	w.Write(content)
	return nil
}

// readable removes what HTML may not hold: bytes that are not UTF-8, and zeros. Headers of
// upstreams and queries may have both.
func readable(html []byte) []byte {
	return bytes.ReplaceAll(bytes.ToValidUTF8(html, []byte("\ufffd")), []byte{0}, []byte("\ufffd"))
}
