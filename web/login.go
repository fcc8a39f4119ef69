package web

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
	"jobhub/web/gateway"
	"jobhub/web/view"
)

const sessionTime = 12 * time.Hour

// toLogin sends a person who is not logged in to the login page, and back afterwards.
func toLogin(w http.ResponseWriter, r *http.Request) {
	to := "/login"
	if next := r.URL.RequestURI(); r.Method == http.MethodGet && next != "/" {
		to += "?next=" + url.QueryEscape(next)
	}
	seeOther(w, to)
}

// seeOther leads to a path of this hub.
func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

// ownPath is where to go after the login: a path of this hub, whatever the link said.
func ownPath(next string) string {
	foreign := func(c rune) bool { return c <= ' ' || c == '\\' || c >= 0x7f }
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsFunc(next, foreign) {
		return "/"
	}
	return next
}

// loginPage is GET /login.
func (s *Server) loginPage(w http.ResponseWriter, r *http.Request) {
	next := ownPath(r.URL.Query().Get("next"))
	if _, err := s.identify(r); err == nil {
		seeOther(w, next)
		return
	}
	s.askForKey(w, r, http.StatusOK, view.Login{Next: next})
}

// login is POST /login: it takes a key and gives a session in a cookie.
func (s *Server) login(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if err := readForm(w, r, maxForm); err != nil {
		s.failPage(w, r, err)
		return
	}
	next := ownPath(r.PostForm.Get("next"))
	if !s.keyed(now) {
		seeOther(w, next)
		return
	}
	who, err := s.authenticate(callerAddress(r), strings.TrimSpace(r.PostForm.Get("key")), now)
	if err == nil && who.Grant != nil { // a token is for less than the pages show
		err = auth.ErrUnknown
	}
	if lapsed(err) {
		problem, _ := errors.AsType[*jobs.Problem](refused(err))
		s.askForKey(w, r, http.StatusUnauthorized, view.Login{Next: next, Error: problem.Detail})
		return
	}
	var session string
	var until time.Time
	if err == nil {
		session, until, err = s.Auth.Session(who, now.Add(sessionTime))
	}
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.setSession(w, r, session, until)
	seeOther(w, next)
}

// logout is POST /logout: the session ends for whoever has its cookie.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		s.setSession(w, r, "", time.Unix(1, 0))
		if err := s.endSession(cookie.Value); err != nil {
			s.failPage(w, r, err)
			return
		}
	}
	seeOther(w, "/login")
}

// endSession ends the session of a cookie, if it is one.
func (s *Server) endSession(cookie string) error {
	now := time.Now()
	if s.Auth == nil {
		return nil
	}
	who, err := s.Auth.Resume(cookie, now)
	if lapsed(err) {
		return nil
	}
	if err == nil {
		err = s.Auth.EndSession(who, now)
	}
	return err
}

func (s *Server) setSession(w http.ResponseWriter, r *http.Request, session string, until time.Time) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: session, Path: cmp.Or(s.base, "/"), Expires: until, HttpOnly: true,
		Secure: gateway.SenderOf(r).Proto == "https", SameSite: http.SameSiteStrictMode})
}

func (s *Server) askForKey(w http.ResponseWriter, r *http.Request, status int, l view.Login) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	}
	s.page(w, r, status, view.LoginPage(view.Shell{At: time.Now(), Asset: static.Path}, l))
}
