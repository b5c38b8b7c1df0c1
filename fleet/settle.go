package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Settle looks for fleets that a goldsmith left half-made or half-removed when it died, and undoes them: a spawn is
// all or nothing. Fleets that a living goldsmith works on are left alone. It returns one line for each that it undid.
func (b Bench) Settle(ctx context.Context) ([]string, error) {
	if !exists(b.fleets()) {
		return nil, nil
	}
	done, err := lockDir(ctx, b.fleets(), 0) // held while a fleet is registered: then there is nothing of it to undo yet
	if errors.Is(err, errBusy) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer done()
	names, err := b.names()
	var notes []string
	for _, name := range names {
		some, e := b.settleOne(ctx, name)
		notes, err = append(notes, some...), errors.Join(err, e)
	}
	return notes, err
}

func (b Bench) settleOne(ctx context.Context, name string) ([]string, error) {
	unlock, err := lockDir(ctx, b.folder(name), 0)
	if errors.Is(err, errBusy) || errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := b.load(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, removeTree(b.folder(name)) // cut before anything was written down, or after all was removed
	}
	if err != nil {
		return nil, err
	}
	return b.settleState(ctx, s)
}

func (b Bench) settleState(ctx context.Context, s *State) ([]string, error) {
	switch s.Phase {
	case Making:
		note := fmt.Sprintf("undone: the fleet %s, whose making was interrupted on %s", s.Name, s.Made.Format(time.DateTime))
		return []string{note}, b.removeAll(ctx, s, 0)
	case Removing:
		return []string{fmt.Sprintf("finished: the removal of the fleet %s, which was interrupted", s.Name)}, b.removeAll(ctx, s, 0)
	}
	var notes []string
	for _, c := range append([]Clone(nil), s.Clones...) {
		if c.Leaving {
			notes = append(notes, fmt.Sprintf("finished: the removal of %s, which was interrupted", c.Name))
			if err := b.removeClone(ctx, s, c.Name, 0); err != nil {
				return notes, err
			}
		}
	}
	more, err := b.settleSnapshots(ctx, s)
	return append(notes, more...), err
}
