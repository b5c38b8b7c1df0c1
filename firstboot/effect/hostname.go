package effect

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// writeHostname sets the host name of the running kernel. systemd read /etc/hostname long before we changed it. In a tree
// there is no kernel to tell.
func writeHostname(_ context.Context, h *host.Host, _ *journal.Journal, changes []plan.Change) error {
	if !h.Running() {
		return nil
	}
	c := changes[0]
	now, err := h.KernelHostname()
	if err != nil {
		return err
	}
	todo, err := swap(c, plan.Text(now))
	if err != nil || !todo {
		return err
	}
	if err := unix.Sethostname([]byte(c.Want.Text)); err != nil {
		return fmt.Errorf("cannot set the host name: %w", err)
	}
	return nil
}
