package fleet

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

// A Standing is what can be seen of a clone at this moment.
type Standing struct {
	Fleet   string         `json:"fleet"`
	Clone   string         `json:"clone"`
	MAC     string         `json:"mac"`
	Address netip.Addr     `json:"address,omitzero"` // from the DHCP server where it is ours, else from the clone's report
	Claimed netip.Addr     `json:"claimed,omitzero"` // what the clone reports
	Client  string         `json:"dhcp_client_id,omitempty"`
	State   Condition      `json:"state"`
	Why     string         `json:"why,omitempty"` // of a failed or stopped clone
	Age     time.Duration  `json:"age_ns,omitempty"`
	Ready   time.Duration  `json:"ready_after_ns,omitempty"` // from being let run to its report
	Own     time.Duration  `json:"own_ns,omitempty"`         // what firstboot itself took, without what it waited for
	Memory  int64          `json:"memory_bytes,omitempty"`   // anonymous memory of its processes
	Up      []string       `json:"stacks_up,omitempty"`      // that answer a knock; see Knock
	Down    []string       `json:"stacks_down,omitempty"`    // that do not
	Report  *report.Report `json:"report,omitempty"`
}

// A Condition is how a clone is doing: one of the three below, or the report.State of its newest report.
type Condition string

// Conditions of a clone that has not reported, or does so no longer.
const (
	Booting Condition = "booting"
	Stopped Condition = "stopped"
	Unseen  Condition = "unseen"  // its host does not answer
	Created Condition = "created" // never started
)

// settled says whether waiting for this clone makes no further sense.
func (s Standing) settled() bool {
	return report.State(s.State).Final() || s.State == Stopped || s.State == Created
}

// Look returns the standings of some clones of a fleet, in their order.
func (s *State) Look(ctx context.Context, clones []Clone) ([]Standing, error) {
	d, err := s.driver()
	if err != nil {
		return nil, err
	}
	leases, err := s.leases()
	if err != nil {
		return nil, err
	}
	out := make([]Standing, len(clones))
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce) // a clone on another host takes a conversation
	for i, c := range clones {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			out[i] = look(ctx, d, c)
			out[i].Fleet = s.Name
			if l, ok := leases[c.MAC]; ok {
				out[i].Address, out[i].Client = l.Address, l.ClientID
			}
		})
	}
	wg.Wait()
	return out, nil
}

// alive asks the driver whether a clone runs.
func (s *State) alive(ctx context.Context, c *Clone) (bool, error) {
	d, err := s.driver()
	if err != nil {
		return false, err
	}
	return d.Alive(ctx, c.Machine)
}

// Fetch brings home what a clone has said, where it lives on another host, and says whether it runs.
func (s *State) Fetch(ctx context.Context, c Clone) (alive bool, err error) {
	d, err := s.driver()
	if err != nil {
		return false, err
	}
	alive, err = d.Alive(ctx, c.Machine) // asked before, so that nothing said in between is lost
	return alive, errors.Join(err, d.Fetch(ctx, c.Machine))
}

// leases returns the leases of the fleet's own DHCP server by MAC; nothing where the server is somebody else's.
func (s *State) leases() (map[string]vlan.Lease, error) {
	if s.Lab == nil {
		return nil, nil
	}
	list, err := vlan.ReadLeases(s.Lab.Leases())
	out := map[string]vlan.Lease{}
	for _, l := range list {
		out[l.MAC] = l
	}
	return out, err
}

func look(ctx context.Context, d driver.Driver, c Clone) Standing {
	st := Standing{Clone: c.Name, MAC: c.MAC, State: Booting}
	if c.Started.IsZero() {
		st.State = Created
		return st
	}
	alive, err := d.Alive(ctx, c.Machine)
	if err == nil {
		err = d.Fetch(ctx, c.Machine)
	}
	if err != nil {
		st.State, st.Why = Unseen, err.Error()
		return st
	}
	if alive {
		st.Age, st.Memory = time.Since(c.Started), driver.MemoryOf(c.Machine)
	}
	r, err := d.Report(c.Machine)
	if p, e := readPhoned(c); e == nil && (err != nil || !r.State.Final()) {
		r, err = p, nil
	}
	switch {
	case err == nil:
		st.take(c, r)
	case !errors.Is(err, fs.ErrNotExist):
		st.Why = err.Error()
	}
	if !alive && st.State != Condition(report.Failed) {
		st.State, st.Why = Stopped, lastWords(c.Console())
	}
	return st
}

// take takes over what the clone says of itself.
func (s *Standing) take(c Clone, r report.Report) {
	s.Report, s.State, s.Claimed, s.Address, s.Why = &r, Condition(r.State), r.Identity.Address, r.Identity.Address, r.Error
	if !r.State.Final() {
		return
	}
	s.Own = r.Took
	for _, w := range r.Waits {
		s.Own -= w.Took
	}
	if end := r.Started.Add(r.Took); end.After(c.Started) {
		s.Ready = end.Sub(c.Started)
	}
}

// cleanup begins what systemd-nspawn says at every end on hosts whose /run is no tmpfs. It means nothing.
const cleanup = "Attempted to remove disk file system"

// lastWords returns the last line of a console log that says anything.
func lastWords(path string) string {
	tail, err := Tail(path, 4096)
	if err != nil {
		return "it left no console log"
	}
	lines := bytes.FieldsFunc(tail, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if line := bytes.TrimSpace(lines[i]); len(line) > 0 && !bytes.HasPrefix(line, []byte(cleanup)) {
			return "last words: " + string(line)
		}
	}
	return "it said nothing on its console"
}

// Tail returns up to n bytes of the end of a file.
func Tail(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(n, st.Size()))
	got, err := f.ReadAt(buf, max(0, st.Size()-n))
	if got > 0 {
		err = nil
	}
	return buf[:got], err
}

// Command prepares a command that runs inside a clone of the fleet.
func (s *State) Command(ctx context.Context, c Clone, argv ...string) (*exec.Cmd, error) {
	d, err := s.driver()
	if err != nil {
		return nil, err
	}
	if !d.Capabilities().Exec {
		return nil, report.Faultf(report.Usage, "cannot run a command in %s: the driver %s has no way in", c.Name, s.Driver).
			WithHint("ssh root@%s", c.Name)
	}
	return d.Command(ctx, c.Machine, argv...)
}
