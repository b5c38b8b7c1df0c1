package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/discover"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

// An Order says what fleet to make.
type Order struct {
	Name    string
	Image   driver.Image
	Count   int
	Driver  driver.Driver
	Network vlan.Network // of the host; ignored with Lab
	Lab     *vlan.Lab    // a private VLAN; Dir is set by Spawn
	OUI     string       // first half of the MACs; empty: DefaultOUI
	Memory  int          // MiB; zero: the driver's choice
	CPUs    int
	Connect string           // URI of a libvirtd; empty for other drivers
	Pool    string           // storage pool there; empty: its default
	Claims  []identity.Claim // one per clone, or none; host name and instance are filled in
	Phone   bool             // clones report to the bench by HTTP as well, while somebody waits for them
	Off     bool             // firstboot shall do nothing in them
	Created bool             // make the clones but do not start them
}

// maxClones keeps the names of links below 16 letters.
const maxClones = 9999

// roomPerClone is what a clone writes in its first minutes, and roomLeft what a bench must keep, in bytes.
const (
	roomPerClone = 32 << 20
	roomLeft     = 256 << 20
)

// Spawn makes the fleet: all of it, or nothing. progress is told the name of each clone that was let run.
func (b Bench) Spawn(ctx context.Context, o Order, progress func(clone string)) (*State, error) {
	if err := b.checkOrder(o); err != nil {
		return nil, err
	}
	s, unlock, err := b.register(ctx, o)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := b.make(ctx, o, s, progress); err != nil {
		undone := b.removeAll(context.WithoutCancel(ctx), s, 0)
		return nil, errors.Join(err, undone)
	}
	return s, nil
}

// checkOrder says all that is wrong with an order at once. It touches nothing.
func (b Bench) checkOrder(o Order) error {
	errs := []error{checkName(o.Name), b.checkRoom(o.Count)}
	if o.Count < 1 || o.Count > maxClones {
		errs = append(errs, report.Faultf(report.Usage, "cannot make %d clones: want 1 to %d", o.Count, maxClones).WithHint("-n 3"))
	}
	if len(o.Claims) != 0 && len(o.Claims) != o.Count {
		errs = append(errs, report.Faultf(report.Usage, "cannot make %d clones from settings for %d", o.Count, len(o.Claims)))
	}
	if _, err := parseOUI(o.oui()); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, checkPlace(o))...)
}

// checkPlace asks the driver, and looks at the wire.
func checkPlace(o Order) error {
	probe := driver.Machine{Name: o.Name, Image: o.Image, Memory: o.Memory, CPUs: o.CPUs, Network: o.Network, Off: o.Off,
		Connect: o.Connect, Pool: o.Pool}
	errs := []error{o.Driver.Check(context.Background(), probe)}
	switch {
	case o.Lab != nil && !o.Driver.Capabilities().Namespace:
		errs = append(errs, report.Faultf(report.Usage, "cannot put clones of the driver %s into a lab", o.Driver.Name()).
			WithHint("--bridge NAME"))
	case o.Lab != nil:
		errs = append(errs, o.Lab.Check())
	case o.Network.Namespace != "" && !o.Driver.Capabilities().Namespace:
		errs = append(errs, report.Faultf(report.Usage, "cannot put clones of the driver %s into the lab of others", o.Driver.Name()))
	default:
		errs = append(errs, o.Network.Check())
	}
	return errors.Join(errs...)
}

func (o Order) oui() string {
	if o.OUI == "" {
		return DefaultOUI
	}
	return o.OUI
}

// checkRoom refuses to fill the disk.
func (b Bench) checkRoom(count int) error {
	dir := b.Home
	for !exists(dir) {
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("cannot look at the disk of %s: %w", dir, err)
	}
	have, want := st.Bavail*uint64(st.Bsize), uint64(roomLeft+roomPerClone*max(count, 0))
	if have >= want {
		return nil
	}
	return report.Faultf(report.Usage, "cannot make %d clones: %d MiB free in %s, want %d", count, have>>20, dir, want>>20).
		WithHint("goldsmith list, and goldsmith remove what is not needed").
		WithHint("--home DIR or GOLDSMITH_HOME=DIR on a larger disk")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// register writes the fleet down under a name and MACs that nobody else has, and returns it locked.
func (b Bench) register(ctx context.Context, o Order) (*State, func(), error) {
	if err := os.MkdirAll(b.fleets(), 0o700); err != nil {
		return nil, nil, fmt.Errorf("cannot make the home of fleets: %w", err)
	}
	done, err := lockDir(ctx, b.fleets(), time.Minute)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	others, err := b.Fleets()
	if err != nil {
		return nil, nil, err
	}
	s, err := b.plan(o, others, heard(ctx, o))
	if err != nil {
		return nil, nil, err
	}
	if err := os.Mkdir(b.folder(o.Name), 0o700); err != nil {
		return nil, nil, inUse(o.Name, err)
	}
	unlock, err := lockDir(ctx, b.folder(o.Name), 0)
	if err == nil {
		err = b.save(s)
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(b.folder(o.Name)))
	}
	return s, unlock, nil
}

// heard returns the MACs that answer on a network which is somebody else's: they may belong to machines that no fleet
// knows. A bridge without an address, or with one of a very large subnet, cannot be asked, and then nothing is heard.
func heard(ctx context.Context, o Order) map[string]bool {
	out := map[string]bool{}
	if o.Lab != nil || o.Network.Host != "" {
		return out
	}
	subnet, err := discover.Subnet(o.Network)
	if err != nil || !subnet.IsValid() || subnet.Bits() < 20 {
		return out
	}
	w, err := discover.Open(o.Network, false)
	if err != nil {
		return out
	}
	defer w.Close()
	hosts, _ := w.Sweep(ctx, subnet) // an aid, not a condition
	for _, h := range hosts {
		out[h.MAC] = true
	}
	return out
}

// plan fills in all that is known before anything is made. No clone gets a MAC that is in taken.
func (b Bench) plan(o Order, others []*State, taken map[string]bool) (*State, error) {
	if err := checkTaken(o, others); err != nil {
		return nil, err
	}
	oui, err := parseOUI(o.oui())
	if err != nil {
		return nil, err
	}
	s := &State{
		Format: stateFormat, Name: o.Name, ID: randomHex(3), Phase: Making, Driver: o.Driver.Name(), Image: o.Image,
		Network: o.Network, Made: time.Now(),
	}
	if o.Lab != nil {
		lab := *o.Lab
		lab.Dir = filepath.Join(b.folder(o.Name), "lab")
		s.Lab, s.Network = &lab, lab.Network
	}
	macs := maps.Clone(taken)
	if macs == nil {
		macs = map[string]bool{}
	}
	for _, c := range clonesOf(others) {
		macs[c.MAC] = true
	}
	for n := 1; n <= o.Count; n++ {
		mac, err := pickMAC(oui, cloneName(o.Name, n), func(mac string) bool { return macs[mac] })
		if err != nil {
			return nil, err
		}
		macs[mac] = true
		s.Clones = append(s.Clones, b.clone(o, s, n, mac))
	}
	if o.Phone {
		err = s.installPhone(o)
	}
	return s, err
}

func (b Bench) clone(o Order, s *State, n int, mac string) Clone {
	var claim identity.Claim
	if len(o.Claims) > 0 {
		claim = o.Claims[n-1]
	}
	name := cloneName(s.Name, n)
	if claim.Hostname == "" {
		claim.Hostname = name
	}
	claim.Instance = fmt.Sprintf("%s-%s-%d", s.Name, s.ID, n)
	return Clone{Machine: driver.Machine{
		Name: name, Unit: fmt.Sprintf("gs%s-%d", s.ID, n), Dir: filepath.Join(b.folder(s.Name), name), Image: s.Image,
		MAC: mac, UUID: randomUUID(), Network: s.Network, Memory: o.Memory, CPUs: o.CPUs, Claim: claim, Off: o.Off,
		Connect: o.Connect, Pool: o.Pool,
	}}
}

// checkTaken refuses a name that a fleet has, and one that would make a clone and a fleet share a name.
func checkTaken(o Order, others []*State) error {
	for _, s := range others {
		if s.Name == o.Name || s.index(o.Name) >= 0 {
			return inUse(o.Name, os.ErrExist)
		}
		for n := 1; n <= o.Count; n++ {
			if cloneName(o.Name, n) == s.Name {
				return inUse(s.Name, os.ErrExist)
			}
		}
	}
	return nil
}

func inUse(name string, err error) error {
	if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("cannot make the fleet %s: %w", name, err)
	}
	return report.Faultf(report.Usage, "cannot call a fleet %s: the name is in use", name).
		WithHint("goldsmith list").WithHint("goldsmith remove %s", name)
}

func clonesOf(list []*State) []Clone {
	var out []Clone
	for _, s := range list {
		out = slices.Concat(out, s.Clones)
	}
	return out
}

// make makes what is written down in s, and writes each step down before it is done.
func (b Bench) make(ctx context.Context, o Order, s *State, progress func(string)) error {
	save := func() error { return b.save(s) }
	if s.Lab != nil {
		if err := s.Lab.Up(save); err != nil {
			return err
		}
	}
	for i := range s.Clones {
		if err := ctx.Err(); err != nil {
			return report.Faultf(report.Usage, "cannot make the fleet %s: %w", s.Name, err)
		}
		if err := b.makeOne(ctx, o, s, &s.Clones[i]); err != nil {
			return fmt.Errorf("cannot make %s: %w", s.Clones[i].Name, err)
		}
		progress(s.Clones[i].Name)
	}
	s.Phase = Up
	return save()
}

func (b Bench) makeOne(ctx context.Context, o Order, s *State, c *Clone) error {
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		return err
	}
	if err := o.Driver.Create(ctx, c.Machine); err != nil || o.Created {
		return err
	}
	c.Started = time.Now()
	return o.Driver.Start(ctx, c.Machine, func(id processID) error {
		c.Process = id
		return b.save(s)
	})
}

func randomHex(octets int) string {
	b := make([]byte, octets)
	rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// randomUUID returns a version 4 UUID (RFC 9562).
func randomUUID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
