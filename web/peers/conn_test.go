package peers

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

const stall = 30 * time.Second

// pair is a connection of the hub, and its peer. Nothing is kept in between.
func pair(t *testing.T) (*Conn, net.Conn) {
	here, there := net.Pipe()
	t.Cleanup(func() { here.Close(); there.Close() })
	return NewConn(here, stall), there
}

func TestPeerThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t)
		from := time.Now()
		n, err := c.Write([]byte("hello"))
		if took := time.Since(from); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || took != stall {
			t.Errorf("%d %v after %s, want none after %s", n, err, took, stall)
		}
	})
}

func TestPeerThatTakesAByteNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t)
		go func() {
			for range 100 {
				time.Sleep(stall - time.Second)
				peer.Read(make([]byte, 1))
			}
		}()
		from := time.Now()
		if n, err := c.Write(make([]byte, 100)); n != 100 || err != nil || time.Since(from) < 40*time.Minute {
			t.Errorf("%d %v after %s", n, err, time.Since(from))
		}
	})
}

// A peer that sends its part first and takes the answer later is at work.
func TestPeerThatSendsWhileItTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t)
		go io.Copy(io.Discard, c)
		go func() {
			for range 10 {
				time.Sleep(stall - time.Second)
				peer.Write([]byte("x"))
			}
			io.Copy(io.Discard, peer)
		}()
		if n, err := c.Write(make([]byte, 100)); n != 100 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	})
}

func TestDeadlinesOfTheOwnerHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := pair(t)
		from := time.Now()
		time.AfterFunc(time.Second, func() { c.SetWriteDeadline(time.Unix(1, 0)) }) // also while it is at work
		if _, err := c.Write([]byte("hello")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(from) != time.Second {
			t.Errorf("%v after %s", err, time.Since(from))
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.Due(true)
		from = time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(from) != time.Second {
			t.Errorf("%v after %s", err, time.Since(from))
		}
	})
}

func TestReadOfWhatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t)
		c.Due(true)
		from := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(from) != stall {
			t.Errorf("%v after %s", err, time.Since(from))
		}
		c.Due(false) // what is not due may take its time
		go func() { time.Sleep(time.Hour); peer.Write([]byte("x")) }()
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	})
}

// What waits on after nothing is due any more has no end of its own: net/http begins to wait
// for the next request before the reader of a body can say that it is whole.
func TestReadThatWaitsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer := pair(t)
		c.Due(true)
		go func() {
			synctest.Wait()
			c.Due(false)
			time.Sleep(10 * stall)
			peer.Write([]byte("x"))
		}()
		from := time.Now()
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil || time.Since(from) != 10*stall {
			t.Errorf("%d %v after %s", n, err, time.Since(from))
		}
		if c.stalledRead.Load() {
			t.Error("the peer is called late")
		}
	})
}
