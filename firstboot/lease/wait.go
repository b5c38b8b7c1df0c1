package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNone is returned, wrapped in a text that says what was seen, when no address came in time.
var ErrNone = errors.New("no address")

const (
	// DefaultTimeout is how long a clone waits for its address when the recipe does not say.
	DefaultTimeout = 120 * time.Second
	// grace is how long a face that is not settled is held back: an IPv4 lease may follow an IPv6 address, a lease a
	// configured address, a default route its address.
	grace = 4 * time.Second
)

// Now returns the face that the named link (empty: the link of the default route) shows at this moment.
func Now(name string) (Face, bool, error) {
	s, err := take()
	if err != nil {
		return Face{}, false, err
	}
	f, _, ok := s.choose(name)
	return f, ok, nil
}

// Wait waits until the named link, or the link of the default route when name is empty, has an address that can be the
// public face. A timeout of zero is DefaultTimeout.
func Wait(ctx context.Context, name string, timeout time.Duration) (Face, error) {
	events, err := Subscribe()
	if err != nil {
		return Face{}, err
	}
	defer events.Close()
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	w := waiter{name: name, timeout: timeout, end: time.Now().Add(timeout), grace: grace}
	for {
		s, err := take()
		if err != nil {
			return Face{}, err
		}
		f, next, done := w.look(s, time.Now())
		if done {
			return f, nil
		}
		if next.IsZero() {
			return Face{}, w.none(s)
		}
		if _, err := events.Wait(ctx, next); err != nil {
			return Face{}, fmt.Errorf("cannot wait for an address: %w", err)
		}
	}
}

// A waiter decides, from one snapshot to the next, whether to go on waiting.
type waiter struct {
	name    string
	timeout time.Duration
	end     time.Time
	grace   time.Duration

	candidate Face
	since     time.Time // when candidate was first seen
}

// look returns the face when it is done, or the moment at which to look again at the latest; a zero moment: time is up.
func (w *waiter) look(s *snapshot, now time.Time) (f Face, next time.Time, done bool) {
	f, settled, ok := s.choose(w.name)
	if ok && settled {
		return f, time.Time{}, true
	}
	if !ok {
		w.since = time.Time{}
	} else if w.since.IsZero() || f != w.candidate {
		w.candidate, w.since = f, now
	}
	if ok && now.Sub(w.since) >= w.grace {
		return f, time.Time{}, true
	}
	if !now.Before(w.end) {
		return f, time.Time{}, ok
	}
	if next = w.end; ok && w.since.Add(w.grace).Before(next) {
		next = w.since.Add(w.grace)
	}
	return f, next, false
}

func (w *waiter) none(s *snapshot) error {
	where := w.name
	if where == "" {
		where = "the link of the default route"
	}
	return fmt.Errorf("cannot learn the address of %s: %w within %s; seen: %s", where, ErrNone, w.timeout,
		strings.Join(s.seen(w.name), "; "))
}
