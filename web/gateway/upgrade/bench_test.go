package upgrade

import (
	"io"
	"net"
	"strings"
	"testing"
)

// BenchmarkMessage sends messages one way, through a tunnel and through io.Copy.
func BenchmarkMessage(b *testing.B) {
	for size, text := range map[int]string{100: "100B", 10000: "10kB", 1 << 20: "1MB"} {
		message := []byte(frame(0x82, strings.Repeat("m", size), false))
		for name, pass := range map[string]func(client, upstream net.Conn){
			"tunnel": func(client, upstream net.Conn) {
				o := New(Options{}).options
				newTunnel(&o, client, upstream, new(Counters)).run(nil)
			},
			"copy": func(client, upstream net.Conn) {
				io.CopyBuffer(struct{ io.Writer }{client}, struct{ io.Reader }{upstream}, make([]byte, bufferSize))
				client.Close()
			},
		} {
			b.Run(text+"/"+name, func(b *testing.B) {
				near, client := tcp(b)
				upstream, far := tcp(b)
				go pass(client, upstream)
				done := make(chan struct{})
				go func() { io.Copy(io.Discard, near); close(done) }()
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					far.Write(message)
				}
				far.Close()
				<-done
				near.Close()
			})
		}
	}
}

// tcp returns both ends of a connection.
func tcp(b *testing.B) (net.Conn, net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	return c, s
}
