package effect

import (
	"context"
	"fmt"
	"time"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// sizeBatch is the name of the only batch of its kind.
const sizeBatch = "size /"

// sizeLimit is less than what the unit gives the local phase: a tool that hangs must not keep the clone from its name.
const sizeLimit = 30 * time.Second

// writeSize gives the root file system all of its disk.
func writeSize(ctx context.Context, h *host.Host, _ *journal.Journal, changes []plan.Change) error {
	root, err := h.Root()
	switch {
	case err != nil:
		return err
	case root == nil:
		return ErrMoved
	}
	todo, err := swap(changes[0], plan.Text(root.String()))
	if err != nil || !todo {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sizeLimit)
	defer cancel()
	if err := root.Grow(ctx, false); err != nil {
		return err
	}
	if root, err = h.Root(); err == nil && root != nil && !root.Full() {
		err = fmt.Errorf("%d MiB of the disk are still free", root.Room()>>20)
	}
	return err
}

// redoSize finishes what was cut: of a volume group that has room, nobody else could tell whether that is on purpose. What
// it cannot do, the next plan says again.
func redoSize(ctx context.Context, h *host.Host) {
	ctx, cancel := context.WithTimeout(ctx, sizeLimit)
	defer cancel()
	if root, err := h.Root(); err == nil && root != nil && root.Refused == "" {
		_ = root.Grow(ctx, true)
	}
}
