package fleet

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
)

// A Snapshot is the state of a clone under a name. What it holds, the driver's capabilities say.
type Snapshot struct {
	Name  string    `json:"name"`
	Taken time.Time `json:"taken,omitzero"` // zero: it is being taken, or removed
}

// snapshotRule makes names that are a file, an argument and a word of a table.
var snapshotRule = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func checkSnapshotName(name string) error {
	if snapshotRule.MatchString(name) {
		return nil
	}
	return report.Faultf(report.Usage, "cannot call a snapshot %q: want small letters, digits and hyphens, at most 40", name)
}

// snapshot returns where the clone's snapshot of that name stands, or -1.
func (c *Clone) snapshot(name string) int {
	return slices.IndexFunc(c.Snapshots, func(s Snapshot) bool { return s.Name == name })
}

// Snapshot keeps the state of every named clone under a name: of all of them, or of none. progress is told the name of
// each clone that has its own.
func (b Bench) Snapshot(ctx context.Context, name, snap string, progress func(clone string)) error {
	return b.change(ctx, name, func(s *State, d driver.Snapshotter, clones []*Clone) error {
		errs := []error{checkSnapshotName(snap)}
		for _, c := range clones {
			switch alive, err := s.alive(ctx, c); {
			case err != nil:
				errs = append(errs, err)
			case !alive:
				errs = append(errs, report.Faultf(report.Usage, "cannot take a snapshot of %s: it is not running", c.Name))
			case c.snapshot(snap) >= 0:
				errs = append(errs, report.Faultf(report.Usage, "cannot take the snapshot %s of %s: there is one of that name", snap, c.Name).
					WithHint("goldsmith snapshot --remove %s %s", c.Name, snap))
			}
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, c := range clones {
			c.Snapshots = append(c.Snapshots, Snapshot{Name: snap})
		}
		if err := b.save(s); err != nil {
			return err
		}
		err := together(clones, func(c *Clone) error {
			if err := d.Snapshot(ctx, c.Machine, snap); err != nil {
				return fmt.Errorf("cannot take the snapshot %s of %s: %w", snap, c.Name, err)
			}
			progress(c.Name)
			return nil
		})
		if err != nil {
			return errors.Join(err, b.forget(context.WithoutCancel(ctx), s, d, clones, snap))
		}
		for _, c := range clones {
			c.Snapshots[c.snapshot(snap)].Taken = time.Now()
		}
		return b.save(s)
	})
}

// Restore takes every named clone back to a snapshot. Clones that could not be taken back are named in the error, and
// the others are back all the same.
func (b Bench) Restore(ctx context.Context, name, snap string, progress func(clone string)) error {
	return b.change(ctx, name, func(s *State, d driver.Snapshotter, clones []*Clone) error {
		if err := b.checkKept(clones, snap); err != nil {
			return err
		}
		for _, c := range clones {
			c.Restoring = snap
		}
		if err := b.save(s); err != nil {
			return err
		}
		return b.restore(ctx, s, d, clones, progress)
	})
}

// checkKept says which clones have no such snapshot.
func (b Bench) checkKept(clones []*Clone, snap string) error {
	var errs []error
	for _, c := range clones {
		if i := c.snapshot(snap); i < 0 || c.Snapshots[i].Taken.IsZero() {
			errs = append(errs, report.Faultf(report.Usage, "cannot restore %s: it has no snapshot %q", c.Name, snap).
				WithHint("goldsmith snapshot %s", c.Name))
		}
	}
	return errors.Join(errs...)
}

// restore takes clones back to what they are marked with. The mark is taken off in any case but a cut: what did not go
// once, and says why, is not tried by every later command.
func (b Bench) restore(ctx context.Context, s *State, d driver.Snapshotter, clones []*Clone, progress func(string)) error {
	var book sync.Mutex // around the state, which is one file
	_, disk := snapshots(s)
	err := together(clones, func(c *Clone) error {
		began := time.Now()
		err := d.Restore(ctx, c.Machine, c.Restoring, func(id processID) error {
			book.Lock()
			defer book.Unlock()
			c.Process = id
			return b.save(s)
		})
		if err != nil {
			return fmt.Errorf("cannot restore %s: %w", c.Name, err)
		}
		if disk {
			book.Lock()
			defer book.Unlock()
			c.Started = began
		}
		progress(c.Name)
		return nil
	})
	for _, c := range clones {
		c.Restoring = ""
	}
	return errors.Join(err, b.save(s))
}

// RemoveSnapshot removes a snapshot of every named clone. One that is not there is no error.
func (b Bench) RemoveSnapshot(ctx context.Context, name, snap string) error {
	return b.change(ctx, name, func(s *State, d driver.Snapshotter, clones []*Clone) error {
		clones = slices.DeleteFunc(clones, func(c *Clone) bool { return c.snapshot(snap) < 0 })
		for _, c := range clones {
			c.Snapshots[c.snapshot(snap)].Taken = time.Time{}
		}
		return errors.Join(b.save(s), b.forget(ctx, s, d, clones, snap))
	})
}

// forget removes a snapshot of some clones, half-taken ones too, and then what is written down about it.
func (b Bench) forget(ctx context.Context, s *State, d driver.Snapshotter, clones []*Clone, snap string) error {
	err := together(clones, func(c *Clone) error {
		if err := d.Forget(ctx, c.Machine, snap); err != nil {
			return fmt.Errorf("cannot remove the snapshot %s of %s: %w", snap, c.Name, err)
		}
		c.Snapshots = slices.DeleteFunc(c.Snapshots, func(s Snapshot) bool { return s.Name == snap })
		return nil
	})
	return errors.Join(err, b.save(s))
}

// settleSnapshots finishes what a goldsmith that died has begun with the snapshots of a fleet: a half-taken one goes, a
// way back is gone again.
func (b Bench) settleSnapshots(ctx context.Context, s *State) ([]string, error) {
	d, _ := snapshots(s)
	var notes []string
	var errs []error
	for i := range s.Clones {
		c := &s.Clones[i]
		for _, snap := range slices.Clone(c.Snapshots) {
			if d != nil && snap.Taken.IsZero() {
				notes = append(notes, fmt.Sprintf("undone: the snapshot %s of %s, which was interrupted", snap.Name, c.Name))
				errs = append(errs, b.forget(ctx, s, d, []*Clone{c}, snap.Name))
			}
		}
		if d != nil && c.Restoring != "" {
			notes = append(notes, fmt.Sprintf("finished: the way of %s back to the snapshot %s, which was interrupted", c.Name, c.Restoring))
			errs = append(errs, b.restore(ctx, s, d, []*Clone{c}, func(string) {}))
		}
	}
	return notes, errors.Join(errs...)
}

// snapshots returns the fleet's driver where it takes snapshots, and whether a machine boots anew from one.
func snapshots(s *State) (d driver.Snapshotter, disk bool) {
	found, err := s.driver()
	if err != nil {
		return nil, false
	}
	d, _ = found.(driver.Snapshotter)
	return d, found.Capabilities().Snapshots == driver.DiskSnapshots
}

// change locks the fleet that name means and hands its state and the meant clones to f.
func (b Bench) change(ctx context.Context, name string, f func(*State, driver.Snapshotter, []*Clone) error) error {
	found, some, err := b.Find(name)
	if err != nil {
		return err
	}
	unlock, err := lockDir(ctx, b.folder(found.Name), 10*time.Second)
	if err != nil {
		return busy(found.Name, err)
	}
	defer unlock()
	s, err := b.load(found.Name) // again, now that nobody else changes it
	if err != nil {
		return err
	}
	d, _ := snapshots(s)
	if d == nil {
		return report.Faultf(report.Usage, "cannot take snapshots of %s: the driver %s has none", name, s.Driver)
	}
	var clones []*Clone
	for _, c := range some {
		if i := s.index(c.Name); i >= 0 {
			clones = append(clones, &s.Clones[i])
		}
	}
	return f(s, d, clones)
}

// together does something with several clones at once, and goes on after a failure.
func together(clones []*Clone, f func(*Clone) error) error {
	errs := make([]error, len(clones))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, c := range clones {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(c)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
