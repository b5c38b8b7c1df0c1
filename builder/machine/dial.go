package machine

import (
	"context"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dial connects from within the machine's network: its addresses, and nothing else, can be reached.
func (m *Booted) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	out := make(chan result, 1)
	go func() {
		// A thread that has changed its namespace must not serve other goroutines: it is locked, and ends with this one.
		runtime.LockOSThread()
		if err := unix.Setns(int(m.net.Fd()), unix.CLONE_NEWNET); err != nil {
			out <- result{nil, err}
			return
		}
		// A numeric address: the resolver, and the parallel attempts for a name, would run on other threads.
		conn, err := (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		out <- result{conn, err}
	}()
	r := <-out
	return r.conn, r.err
}
