package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"io"

	"github.com/dunglas/httpsfv"
)

// digests are the algorithms of Content-Digest that are checked, all that a request has of them.
var digests = map[string]func() hash.Hash{"sha-256": sha256.New, "sha-512": sha512.New}

// checkedBody hands over a body while it checks its digests. It keeps the last byte back until
// all of the body was found to be right.
type checkedBody struct {
	io.ReadCloser
	sums  []hash.Hash
	wants [][]byte

	held  byte // the last byte that was read, if holds
	holds bool
	end   error // what follows after the byte that is held; nil if that is not known yet
}

// newCheckedBody returns body, checked by the lines of Content-Digest.
func newCheckedBody(body io.ReadCloser, lines []string) (*checkedBody, error) {
	if bytesIn(lines) > MaxHeader {
		return nil, errNoDigest
	}
	dictionary, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil, errNoDigest
	}
	c := &checkedBody{ReadCloser: body}
	for name, newHash := range digests {
		member, there := dictionary.Get(name)
		if !there {
			continue
		}
		item, _ := member.(httpsfv.Item)
		want, ok := item.Value.([]byte)
		if !ok {
			return nil, errNoDigest
		}
		c.sums, c.wants = append(c.sums, newHash()), append(c.wants, want)
	}
	if len(c.sums) == 0 {
		return nil, errNoDigest
	}
	return c, nil
}

// matches reports whether what was read so far is all that was signed.
func (c *checkedBody) matches() bool {
	for i, sum := range c.sums {
		if !bytes.Equal(sum.Sum(nil), c.wants[i]) {
			return false
		}
	}
	return true
}

// Read implements io.Reader.
func (c *checkedBody) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for try := 0; n == 0 && c.end == nil; try++ {
		if try == 100 {
			return 0, io.ErrNoProgress
		}
		n = c.fill(p)
	}
	if c.end == io.EOF && c.holds && n < len(p) {
		p[n] = c.held
		c.holds = false
		n++
	}
	if c.end != nil && !(c.end == io.EOF && c.holds) {
		return n, c.end
	}
	return n, nil
}

// fill reads once more, and returns how many bytes of p can be handed over: those before the
// last one that was read.
func (c *checkedBody) fill(p []byte) (ready int) {
	n, err := c.ReadCloser.Read(p)
	if n > 0 {
		for _, sum := range c.sums {
			sum.Write(p[:n])
		}
		last := p[n-1]
		ready = n - 1
		if c.holds {
			copy(p[1:n], p[:n-1])
			p[0] = c.held
			ready = n
		}
		c.held, c.holds = last, true
	}
	if c.end = err; err == io.EOF && !c.matches() {
		c.end = errDigest
	}
	return ready
}

// digestOf returns Content-Digest for a body.
func digestOf(body []byte) (string, error) {
	sum := sha256.Sum256(body)
	d := httpsfv.NewDictionary()
	d.Add("sha-256", httpsfv.NewItem(sum[:]))
	return httpsfv.Marshal(d)
}
