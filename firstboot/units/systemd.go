// Package units restarts services that run on old values.
package units

import (
	"context"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Systemd talks to the running system's manager over its private socket, which works without dbus-daemon.
type Systemd struct{}

// TryRestart restarts a unit that is running and waits for the job. A unit that is not running, or not known, owes
// nothing.
func (Systemd) TryRestart(ctx context.Context, unit string) error {
	c, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return fmt.Errorf("cannot reach systemd: %w", err)
	}
	defer c.Close()
	active, err := c.GetUnitPropertyContext(ctx, unit, "ActiveState")
	if err != nil {
		return fmt.Errorf("cannot ask for the state: %w", err)
	}
	if s := strings.Trim(active.Value.String(), `"`); s != "active" && s != "reloading" {
		return nil
	}
	done := make(chan string, 1)
	if _, err := c.TryRestartUnitContext(ctx, unit, "replace", done); err != nil {
		return err
	}
	select {
	case result := <-done:
		if result != "done" && result != "skipped" {
			return fmt.Errorf("job ended with %q", result)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
