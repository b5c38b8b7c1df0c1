package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"goldsmith/fleet/driver"
	"goldsmith/fleet/process"
)

type processID = process.ID

// Remove removes a fleet, or one clone of it, and everything that was made for it. Clones are asked to power off and
// ended after patience; zero ends them at once. A name that nothing has is no error: it is what the caller wants.
func (b Bench) Remove(ctx context.Context, name string, patience time.Duration) error {
	found, some, err := b.Find(name)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
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
	if found.Name == name || len(s.Clones) == 1 {
		if err := b.checkGuests(s); err != nil {
			return err
		}
		return b.removeAll(ctx, s, patience)
	}
	return b.removeClone(ctx, s, some[0].Name, patience)
}

// removeAll removes a locked fleet. A cut leaves a fleet that is Removing, and the next goldsmith goes on.
func (b Bench) removeAll(ctx context.Context, s *State, patience time.Duration) error {
	d, err := s.driver()
	if err != nil {
		return err
	}
	s.Phase = Removing
	_ = b.save(s) // a full disk must not keep us from removing; the state as it was also leads to all that there is
	if err := removeMachines(ctx, d, s.Clones, patience); err != nil {
		return err
	}
	if s.Lab != nil {
		if err := s.Lab.Down(ctx); err != nil {
			return err
		}
	}
	return removeTree(b.folder(s.Name))
}

func (b Bench) removeClone(ctx context.Context, s *State, clone string, patience time.Duration) error {
	d, err := s.driver()
	if err != nil {
		return err
	}
	i := s.index(clone)
	if i < 0 {
		return nil
	}
	s.Clones[i].Leaving = true
	if err := b.save(s); err != nil {
		return err
	}
	if err := removeMachines(ctx, d, s.Clones[i:i+1], patience); err != nil {
		return err
	}
	if err := removeTree(s.Clones[i].Dir); err != nil {
		return err
	}
	s.Clones = slices.Delete(s.Clones, i, i+1)
	return b.save(s)
}

// atOnce is how many machines are stopped at the same time.
const atOnce = 8

// removeMachines stops and removes machines, several at once. It goes on after a failure and returns all of them.
func removeMachines(ctx context.Context, d driver.Driver, clones []Clone, patience time.Duration) error {
	errs := make([]error, len(clones))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, c := range clones {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = removeMachine(ctx, d, c.Machine, patience)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func removeMachine(ctx context.Context, d driver.Driver, m driver.Machine, patience time.Duration) error {
	if patience > 0 {
		if err := d.Stop(ctx, m, patience); err != nil {
			return fmt.Errorf("cannot stop %s: %w", m.Name, err)
		}
	}
	if err := d.Remove(ctx, m); err != nil {
		return fmt.Errorf("cannot remove %s: %w", m.Name, err)
	}
	return nil
}

// removeTree removes a folder after proving that nothing is mounted below it: what is mounted there is not ours to empty.
func removeTree(dir string) error {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if m := mountBelow(string(b), dir); m != "" {
		return fmt.Errorf("cannot remove %s: something is mounted on %s", dir, m)
	}
	return os.RemoveAll(dir)
}

// unescape undoes what the kernel does to blanks in paths of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountBelow returns a mount point at or below dir, or nothing.
func mountBelow(mountinfo, dir string) string {
	for line := range strings.Lines(mountinfo) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if where := unescape.Replace(f[4]); where == dir || strings.HasPrefix(where, dir+"/") {
			return where
		}
	}
	return ""
}
