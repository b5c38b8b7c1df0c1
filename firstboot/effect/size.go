package effect

import (
	"context"
	"fmt"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// sizeBatch is the name of the only batch of its kind.
const sizeBatch = "size /"

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
	if err := root.Grow(ctx); err != nil {
		return err
	}
	if root, err = h.Root(); err == nil && root != nil && !root.Full() {
		err = fmt.Errorf("%d MiB of the disk are still free", root.Room()>>20)
	}
	return err
}
