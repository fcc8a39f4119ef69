package trial

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// Valve is a reverse proxy before a hub. Shut, it passes nothing on, in either direction,
// and closes nothing; refusing, it closes what is open and whatever comes.
type Valve struct {
	*httptest.Server

	mu       sync.Mutex    // protects the fields below
	asked    []string      // requests that arrived, as "METHOD path"
	shut     chan struct{} // closed when it opens; nil while it is open
	refusing bool
	conns    map[*valved]bool
}

type valved struct {
	net.Conn
	v *Valve
}

func NewValve(t *testing.T, h *Hub) *Valve {
	t.Helper()
	to, err := url.Parse(h.URL)
	if err != nil {
		t.Fatal(err)
	}
	v := &Valve{conns: map[*valved]bool{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host
	}, FlushInterval: -1, ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.asked = append(v.asked, r.Method+" "+r.URL.Path)
		v.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	v.Listener = valveListener{v.Listener, v}
	v.Start()
	t.Cleanup(func() {
		v.Turn(false, true)
		v.CloseClientConnections()
		v.Close()
	})
	return v
}

type valveListener struct {
	net.Listener
	v *Valve
}

func (l valveListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &valved{conn, l.v}
		l.v.mu.Lock()
		refusing := l.v.refusing
		l.v.conns[c] = true
		l.v.mu.Unlock()
		if !refusing {
			return c, nil
		}
		c.Close()
	}
}

func (c *valved) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.v.pass()
	return n, err
}

func (c *valved) Write(b []byte) (int, error) {
	c.v.pass()
	return c.Conn.Write(b)
}

func (c *valved) Close() error {
	c.v.mu.Lock()
	delete(c.v.conns, c)
	c.v.mu.Unlock()
	return c.Conn.Close()
}

// pass returns when the valve is open.
func (v *Valve) pass() {
	v.mu.Lock()
	shut := v.shut
	v.mu.Unlock()
	if shut != nil {
		<-shut
	}
}

// Turn shuts the valve or opens it, and makes it refuse or not.
func (v *Valve) Turn(shut, refusing bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case shut && v.shut == nil:
		v.shut = make(chan struct{})
	case !shut && v.shut != nil:
		close(v.shut)
		v.shut = nil
	}
	if v.refusing = refusing; refusing {
		for c := range v.conns {
			c.Conn.Close()
		}
	}
}

// Requests are those that arrived since the last look.
func (v *Valve) Requests() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.asked
	v.asked = nil
	return all
}
