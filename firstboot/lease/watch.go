package lease

import (
	"context"
	"time"
)

const (
	// calm is how long the network must be quiet before a change is believed: a DHCP client removes the old address, adds the
	// new one, and then the routes.
	calm = time.Second
	// restless bounds that, where something changes all the time.
	restless = 10 * time.Second
)

// Watch calls changed with the new face each time when it is another than the last, until the context ends. A face that is
// gone is not a change: there is nothing to follow until another comes.
func Watch(ctx context.Context, name string, last Face, changed func(context.Context, Face) error) error {
	events, err := Subscribe()
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		f, ok, err := Now(name)
		if err != nil {
			return err
		}
		if ok && !f.Same(last) {
			if err := changed(ctx, f); err != nil {
				return err
			}
			last = f
		}
		if _, err := events.Wait(ctx, time.Time{}); err != nil {
			return err
		}
		if err := events.Drain(ctx, calm, restless); err != nil {
			return err
		}
	}
}

// Settled waits for the end of a change of which the given socket has told, and returns the face after it. It is Watch for a
// process that systemd starts on each change.
func Settled(ctx context.Context, events *Events, name string) (Face, bool, error) {
	if err := events.Drain(ctx, calm, restless); err != nil {
		return Face{}, false, err
	}
	return Now(name)
}
