// Package drivertest is the contract of driver.Driver, tested once for all drivers.
package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/process"
)

// A Place is what a driver needs for its test.
type Place struct {
	Driver  driver.Driver
	Machine driver.Machine // all but Name, Unit, Dir and Claim, which the suite chooses
	Boot    time.Duration  // how long a machine of this kind may take to report
	// Ticks lists numbers that the machine counts in its memory, as far as they are known; nil where it does not count.
	Ticks func(t *testing.T, m driver.Machine) []int
	// Leftovers lists what of a unit is still there on the host; nothing after Remove.
	Leftovers func(t *testing.T, unit string) []string
}

// Run runs the contract against a driver.
func Run(t *testing.T, p Place) {
	t.Run("a machine that was never made is removed without complaint", p.removeNothing)
	t.Run("life of a machine", p.life)
	t.Run("a start that cannot be recorded leaves nothing", p.unrecorded)
	t.Run("a machine that loses its process by SIGKILL is removed", p.killed)
}

func (p Place) machine(t *testing.T, unit string) driver.Machine {
	t.Helper()
	m := p.Machine
	// a suffix, so that two runs on one host do not find each other's machines
	m.Name, m.Unit, m.Dir = "suite-"+unit, fmt.Sprintf("gst%04x%s", rand.IntN(1<<16), unit), filepath.Join(t.TempDir(), "machine")
	m.Claim = identity.Claim{Hostname: m.Name, Instance: "suite-" + unit}
	t.Cleanup(func() { // whatever happened, the host stays clean
		if err := p.Driver.Remove(context.WithoutCancel(t.Context()), m); err != nil {
			t.Error(err)
		}
	})
	return m
}

// create makes the folder and the files of a machine.
func (p Place) create(t *testing.T, unit string) driver.Machine {
	t.Helper()
	m := p.machine(t, unit)
	if err := p.Driver.Check(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(m.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := p.Driver.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func (p Place) start(t *testing.T, m *driver.Machine) {
	t.Helper()
	err := p.Driver.Start(t.Context(), *m, func(id process.ID) error { m.Process = id; return nil })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Process.Kill(context.WithoutCancel(t.Context())) })
}

func (p Place) alive(t *testing.T, m driver.Machine) bool {
	t.Helper()
	alive, err := p.Driver.Alive(t.Context(), m)
	if err != nil {
		t.Error(err)
	}
	return alive
}

func (p Place) remove(t *testing.T, m driver.Machine) {
	t.Helper()
	for _, again := range []string{"", " again"} {
		if err := p.Driver.Remove(t.Context(), m); err != nil {
			t.Fatalf("remove%s: %v", again, err)
		}
	}
	if p.alive(t, m) {
		t.Error("alive after it was removed")
	}
	for _, left := range p.Leftovers(t, m.Unit) {
		t.Errorf("left behind: %s", left)
	}
}

func (p Place) removeNothing(t *testing.T) { p.remove(t, p.machine(t, "none")) }

func (p Place) life(t *testing.T) {
	m := p.create(t, "life")
	if p.alive(t, m) {
		t.Error("alive before it was started")
	}
	if _, err := p.Driver.Report(m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a report before it was started: %v", err)
	}
	p.start(t, &m)
	p.ready(t, m)
	p.inside(t, m)
	p.snapshot(t, &m)
	if err := p.Driver.Stop(t.Context(), m, p.Boot); err != nil || p.alive(t, m) {
		t.Errorf("stop: alive %t, %v", p.alive(t, m), err)
	}
	if r, err := p.Driver.Report(m); err != nil || r.State != report.Ready {
		t.Errorf("the report of a stopped machine: %s, %v", r.State, err)
	}
	p.resurrect(t, &m)
	p.remove(t, m)
}

// ready waits for the report.
func (p Place) ready(t *testing.T, m driver.Machine) {
	t.Helper()
	deadline := time.Now().Add(p.Boot)
	for {
		if err := p.Driver.Fetch(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		r, err := p.Driver.Report(m)
		if err == nil && r.State == report.Ready {
			if r.Identity.Hostname != m.Name || !r.Identity.Address.IsValid() {
				t.Errorf("it reports that it is %s at %s", r.Identity.Hostname, r.Identity.Address)
			}
			return
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) || !p.alive(t, m) || time.Now().After(deadline) {
			log, _ := os.ReadFile(m.Console())
			t.Fatalf("not ready: state %q, %v, alive %t, console:\n%s", r.State, err, p.alive(t, m), log)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// inside tries what the driver declares that it can do.
func (p Place) inside(t *testing.T, m driver.Machine) {
	t.Helper()
	can := p.Driver.Capabilities()
	if can.Files {
		if b, err := p.Driver.ReadFile(m, "/etc/machine-id"); err != nil || len(strings.TrimSpace(string(b))) != 32 {
			t.Errorf("machine-id: %q, %v", b, err)
		}
	}
	if can.Exec {
		cmd, err := p.Driver.Command(t.Context(), m, "uname", "-n")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != m.Name {
			t.Errorf("uname -n: %q, %v", out, err)
		}
	}
	p.says(t, m, "firstboot: ready as "+m.Name)
}

// says waits for a line on the console, which is slower than a port of its own: the journal hands on to it what it was told.
func (p Place) says(t *testing.T, m driver.Machine, line string) {
	t.Helper()
	for deadline := time.Now().Add(p.Boot); ; time.Sleep(200 * time.Millisecond) {
		if err := p.Driver.Fetch(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(m.Console())
		if err == nil && strings.Contains(string(b), line) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the console does not say %q: %v\n%s", line, err, b)
		}
	}
}

// snapshot keeps the state of a machine and takes it back, and leaves the snapshot.
func (p Place) snapshot(t *testing.T, m *driver.Machine) {
	t.Helper()
	d, can := p.Driver.(driver.Snapshotter)
	kind := p.Driver.Capabilities().Snapshots
	if can != (kind != "") {
		t.Errorf("the driver takes snapshots: %t, and declares %q", can, kind)
	}
	if !can {
		return
	}
	if err := d.Forget(t.Context(), *m, kept); err != nil {
		t.Errorf("removing a snapshot that was never taken: %v", err)
	}
	before := p.ticks(t, *m)
	if err := d.Snapshot(t.Context(), *m, kept); err != nil {
		t.Fatal(err)
	}
	most := last(p.ticks(t, *m)) // when it was taken, or a little less: the other host is slow to ask
	if p.Ticks != nil {
		p.until(t, *m, "it counts on after the snapshot", func(now []int) bool { return last(now) > last(before)+3 })
	}
	p.restore(t, m)
	if p.Ticks == nil {
		return
	}
	p.until(t, *m, "it counts on from where it was kept", func(now []int) bool {
		for i := len(before); i+1 < len(now); i++ {
			if now[i+1] <= now[i] {
				return now[i+1] <= most+1
			}
		}
		return false
	})
}

// kept is the name of the suite's snapshot.
const kept = "kept"

func (p Place) restore(t *testing.T, m *driver.Machine) {
	t.Helper()
	err := p.Driver.(driver.Snapshotter).Restore(t.Context(), *m, kept, func(id process.ID) error { m.Process = id; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if id := m.Process; id.PID != 0 {
		t.Cleanup(func() { id.Kill(context.WithoutCancel(t.Context())) })
	}
	p.ready(t, *m)
}

// resurrect takes back a machine that has ended, and then removes the snapshot.
func (p Place) resurrect(t *testing.T, m *driver.Machine) {
	t.Helper()
	d, can := p.Driver.(driver.Snapshotter)
	if !can {
		return
	}
	p.restore(t, m)
	for range 2 {
		if err := d.Forget(t.Context(), *m, kept); err != nil {
			t.Error(err)
		}
	}
	if err := d.Restore(t.Context(), *m, kept, nil); err == nil {
		t.Error("it went back to a snapshot that was removed")
	}
}

func (p Place) ticks(t *testing.T, m driver.Machine) []int {
	t.Helper()
	if p.Ticks == nil {
		return nil
	}
	if err := p.Driver.Fetch(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return p.Ticks(t, m)
}

func last(list []int) int {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1]
}

// until waits for something to be true of the numbers that the machine counts.
func (p Place) until(t *testing.T, m driver.Machine, what string, is func([]int) bool) {
	t.Helper()
	for deadline := time.Now().Add(p.Boot); !is(p.ticks(t, m)); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s; it counted %v", p.Boot, what, p.ticks(t, m))
		}
	}
}

func (p Place) unrecorded(t *testing.T) {
	m := p.create(t, "unre")
	refusal := errors.New("disk full")
	var id process.ID
	err := p.Driver.Start(t.Context(), m, func(got process.ID) error { id = got; return refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("got %v, want the refusal", err)
	}
	if alive := p.alive(t, m); alive || !id.Gone(t.Context(), 5*time.Second) {
		t.Error("a process stayed that nobody knows of")
	}
	p.remove(t, m)
}

func (p Place) killed(t *testing.T) {
	m := p.create(t, "kill")
	p.start(t, &m)
	time.Sleep(300 * time.Millisecond)                  // somewhere in its boot
	if err := m.Process.Kill(t.Context()); err != nil { // on another host it lives on, and is removed alive
		t.Fatal(err)
	}
	p.remove(t, m)
}
