// Package fleet treats clones as a group: it makes them, waits until each has become itself, proves from outside that no
// two are alike, and removes them without a trace. What exists is written down before it is made, so that whichever
// goldsmith comes next can find it, finish it or undo it.
package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

// stateFormat is the number that a state file of this version carries.
const stateFormat = 1

// A Phase says what is being done to a fleet. A fleet that nobody holds the lock of and that is not Up was left by a
// goldsmith that died.
type Phase string

// The phases of a fleet.
const (
	Making   Phase = "making"
	Up       Phase = "up"
	Removing Phase = "removing"
)

// A State is all that is written down about a fleet.
type State struct {
	Format  int            `json:"format"`
	Name    string         `json:"name"`
	ID      string         `json:"id"` // six hex digits, random: tells it from a fleet of the same name in another home
	Phase   Phase          `json:"phase"`
	Driver  string         `json:"driver"`
	Image   driver.Image   `json:"image"`
	Network vlan.Network   `json:"network"`
	Lab     *vlan.Lab      `json:"lab,omitempty"`  // nil: the network is somebody else's
	Phone   netip.AddrPort `json:"phone,omitzero"` // where clones report to, if they were told to phone home
	Made    time.Time      `json:"made"`
	Clones  []Clone        `json:"clones"`
}

// A Clone is one machine of a fleet.
type Clone struct {
	driver.Machine
	Started time.Time `json:"started,omitzero"`  // when it was let run
	Leaving bool      `json:"leaving,omitempty"` // it is being removed
	// Snapshots of the clone, the oldest first, and the one that it is being taken back to.
	Snapshots []Snapshot `json:"snapshots,omitempty"`
	Restoring string     `json:"restoring,omitempty"`
}

// A Bench is a home directory of goldsmith, as far as fleets are concerned.
type Bench struct {
	Home string // absolute
}

func (b Bench) fleets() string             { return filepath.Join(b.Home, "fleets") }
func (b Bench) folder(fleet string) string { return filepath.Join(b.fleets(), fleet) }
func stateFile(folder string) string       { return filepath.Join(folder, "fleet.json") }
func (b Bench) save(s *State) error        { return writeState(stateFile(b.folder(s.Name)), s) }
func (s *State) driver() (driver.Driver, error) {
	d, ok := driver.ByName(s.Driver)
	if !ok {
		return nil, fmt.Errorf("cannot use the fleet %s: its driver %q is not known to this goldsmith", s.Name, s.Driver)
	}
	return d, nil
}

// writeState writes the file durably and in one step: a cut leaves the old one or the new one.
func writeState(path string, s *State) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("cannot write down the fleet %s: %w", s.Name, err)
	}
	return nil
}

// load reads the state of one fleet. The error is os.ErrNotExist where there is no such fleet.
func (b Bench) load(name string) (*State, error) {
	raw, err := os.ReadFile(stateFile(b.folder(name)))
	if err != nil {
		return nil, err
	}
	return decodeState(name, raw)
}

func decodeState(name string, raw []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("cannot read the state of the fleet %s: %w", name, err)
	}
	if s.Format != stateFormat {
		return nil, report.Faultf(report.Usage, "cannot use the fleet %s: its state has format %d, this goldsmith knows %d", name, s.Format, stateFormat)
	}
	if s.Name != name {
		return nil, fmt.Errorf("cannot read the state of the fleet %s: it says that it is %q", name, s.Name)
	}
	return s, nil
}

// names lists the fleets of the bench, sorted.
func (b Bench) names() ([]string, error) {
	list, err := os.ReadDir(b.fleets())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var out []string
	for _, e := range list {
		if e.IsDir() && nameRule.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// Fleets reads every fleet of the bench, sorted by name.
func (b Bench) Fleets() ([]*State, error) {
	names, err := b.names()
	if err != nil {
		return nil, err
	}
	var out []*State
	for _, name := range names {
		s, err := b.load(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // being made, or being removed, at this moment
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Find returns the fleet that name means, and which of its clones: all for the name of a fleet, one for that of a clone.
func (b Bench) Find(name string) (*State, []Clone, error) {
	all, err := b.Fleets()
	if err != nil {
		return nil, nil, err
	}
	var known []string
	for _, s := range all {
		if s.Name == name {
			return s, s.Clones, nil
		}
		if i := s.index(name); i >= 0 {
			return s, s.Clones[i : i+1], nil
		}
		known = append(known, s.Name)
	}
	return nil, nil, unknown(name, known)
}

// ErrUnknown is in the error for a name that no fleet and no clone has.
var ErrUnknown = errors.New("no fleet and no clone has that name")

func unknown(name string, known []string) error {
	f := report.Faultf(report.Usage, "cannot find %s: %w", name, ErrUnknown)
	if len(known) == 0 {
		return f.WithHint("goldsmith clone IMAGE -n 3 --name %s", name)
	}
	return f.WithHint("goldsmith list (there are: %s)", strings.Join(known, ", "))
}

// index returns where the clone of that name stands, or -1.
func (s *State) index(clone string) int {
	return slices.IndexFunc(s.Clones, func(c Clone) bool { return c.Name == clone })
}
