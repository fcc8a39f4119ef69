package pages

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/static"
	"jobhub/web/auth"
	"jobhub/web/peers"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const sessionTime = 12 * time.Hour

// toLogin sends a person who is not logged in to the login page, and back afterwards.
func toLogin(w http.ResponseWriter, r *http.Request) error {
	to := "/login"
	if next := r.URL.RequestURI(); r.Method == http.MethodGet && next != "/" {
		to += "?next=" + url.QueryEscape(next)
	}
	return seeOther(w, to)
}

// seeOther redirects to a path of this hub.
func seeOther(w http.ResponseWriter, path string) error {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// ownPath is where to go after the login: always a path of this hub, also if the link named
// another site.
func ownPath(next string) string {
	foreign := func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, foreign) {
		return "/"
	}
	return next
}

// loginPage is GET /login.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) error {
	next := ownPath(r.URL.Query().Get("next"))
	if _, err := s.Identify(r); err == nil {
		return seeOther(w, next)
	}
	return s.askForKey(w, r, http.StatusOK, view.Login{Next: next})
}

// login is POST /login: it exchanges a key for a session in a cookie.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	now := time.Now()
	if err := readForm(w, r, rest.MaxForm); err != nil {
		return err
	}
	next := ownPath(r.PostForm.Get("next"))
	if !s.KeysRequired(now) {
		return seeOther(w, next)
	}
	who, err := s.Authenticate(rest.ClientAddress(r), strings.TrimSpace(r.PostForm.Get("key")), now)
	if err == nil && who.Grant != nil { // a token allows less than the pages show
		err = auth.ErrUnknown
	}
	if rest.IsCredentialsError(err) {
		problem, _ := errors.AsType[*jobs.Problem](rest.CredentialsProblem(err))
		return s.askForKey(w, r, http.StatusUnauthorized, view.Login{Next: next, Error: problem.Detail})
	}
	var session string
	var until time.Time
	if err == nil {
		session, until, err = s.Auth.Session(who, now.Add(sessionTime))
	}
	if err != nil {
		return err
	}
	s.setSession(w, r, session, until)
	return seeOther(w, next)
}

// logout is POST /logout: the session ends in every browser that has its cookie.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(rest.SessionCookie); err == nil {
		s.setSession(w, r, "", time.Unix(1, 0))
		if err := s.endSession(cookie.Value); err != nil {
			return err
		}
	}
	return seeOther(w, "/login")
}

// endSession ends the session of a cookie, if there is one.
func (s *Server) endSession(cookie string) error {
	now := time.Now()
	if s.Auth == nil {
		return nil
	}
	who, err := s.Auth.Resume(cookie, now)
	if rest.IsCredentialsError(err) {
		return nil
	}
	if err == nil {
		err = s.Auth.EndSession(who, now)
	}
	return err
}

func (s *Server) setSession(w http.ResponseWriter, r *http.Request, session string, until time.Time) {
	http.SetCookie(w, &http.Cookie{Name: rest.SessionCookie, Value: session, Path: cmp.Or(s.BasePath, "/"), Expires: until, HttpOnly: true,
		Secure: peers.SenderOf(r).Proto == "https", SameSite: http.SameSiteStrictMode})
}

func (s *Server) askForKey(w http.ResponseWriter, r *http.Request, status int, l view.Login) error {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	return s.Page(w, r, status, view.LoginPage(view.Shell{At: time.Now(), Asset: static.Path}, l))
}
