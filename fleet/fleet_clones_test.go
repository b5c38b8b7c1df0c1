//go:build clones || bench || cloud

package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
)

// patience is how long clones may take on a machine that does other things as well. No test waits for it to end.
const patience = 3 * time.Minute

// bench makes a home with the small tree as its only image, and cleans up whatever a test leaves.
func bench(t *testing.T) fleet.Bench {
	t.Helper()
	b := fleet.Bench{Home: t.TempDir()}
	dir := filepath.Join(b.Home, "images", "small")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(drivertest.SmallTree(t), filepath.Join(dir, "root")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := b.Settle(ctx); err != nil {
			t.Error(err)
		}
		left, err := b.Fleets()
		for _, s := range left {
			if err := b.Remove(ctx, s.Name, 0); err != nil {
				t.Error(err)
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	return b
}

func order(t *testing.T, b fleet.Bench, name string, count int) fleet.Order {
	t.Helper()
	im, err := b.Image("small")
	if err != nil {
		t.Fatal(err)
	}
	return fleet.Order{Name: name, Image: im, Count: count, Driver: driver.Nspawn{}, Lab: lab(name)}
}

// run tells this run of the tests from others on the host, also from one that was killed and has left something. The
// process that is spawned as a victim belongs to the run of its parent.
func run() string {
	if s := os.Getenv("GOLDSMITH_SPAWN_RUN"); s != "" {
		return s
	}
	return fmt.Sprint(os.Getpid())
}

// space is the namespace of a lab in this run.
func space(name string) string { return "gold-" + name + "-" + run() }

func lab(name string) *vlan.Lab {
	return vlan.NewLab(name+"-"+run(), netip.MustParsePrefix(vlan.DefaultSubnet), "")
}

func spawn(t *testing.T, b fleet.Bench, o fleet.Order) *fleet.State {
	t.Helper()
	s, err := b.Spawn(t.Context(), o, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// nothingLeft fails the test for all that is still there of a fleet, and for any file below fleets.
func nothingLeft(t *testing.T, b fleet.Bench, marks ...string) {
	t.Helper()
	for _, mark := range append(marks, b.Home) {
		for _, trace := range drivertest.Traces(t, mark) {
			t.Errorf("left behind: %s", trace)
		}
	}
	files, _ := os.ReadDir(filepath.Join(b.Home, "fleets"))
	for _, f := range files {
		t.Errorf("left behind: %s", f.Name())
	}
}

func TestThreeClonesBecomeThemselvesAndAreRemoved(t *testing.T) {
	b := bench(t)
	spawn(t, b, order(t, b, "three", 3))
	all, err := b.Wait(t.Context(), "three", patience, nil)
	if err != nil {
		t.Fatal(err)
	}
	addresses := map[netip.Addr]bool{}
	for _, st := range all {
		if st.State != fleet.Condition(report.Ready) || st.Address != st.Claimed || !st.Address.IsValid() {
			t.Errorf("%s is %s, leased %s, reports %s", st.Clone, st.State, st.Address, st.Claimed)
		}
		addresses[st.Address] = true
	}
	if len(addresses) != 3 {
		t.Errorf("three clones have %d addresses", len(addresses))
	}
	if err := b.Remove(t.Context(), "three-2", time.Second); err != nil {
		t.Fatal(err)
	}
	s, err := fleetOf(b, "three")
	if err != nil || len(s.Clones) != 2 || !s.Clones[0].Process.Alive() || !s.Clones[1].Process.Alive() {
		t.Errorf("after one of three was removed: %d clones, %v", len(s.Clones), err)
	}
	for range 2 { // the second finds nothing and is content
		if err := b.Remove(t.Context(), "three", 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	nothingLeft(t, b, s.ID, space("three"))
}

func fleetOf(b fleet.Bench, name string) (*fleet.State, error) {
	s, _, err := b.Find(name)
	return s, err
}

func TestACloneThatFailsSaysWhyAndHarmsNoOther(t *testing.T) {
	b := bench(t)
	o := order(t, b, "mixed", 2)
	o.Claims = []identity.Claim{{}, {Prefix: "refuse"}}
	spawn(t, b, o)
	all, err := b.Wait(t.Context(), "mixed", patience, nil)
	if report.CodeOf(err) != report.Stopped || !strings.Contains(err.Error(), "mixed-2 failed: told to refuse") {
		t.Errorf("got %v (code %d)", err, report.CodeOf(err))
	}
	if all[0].State != fleet.Condition(report.Ready) || all[1].State != fleet.Condition(report.Failed) {
		t.Errorf("states are %s and %s", all[0].State, all[1].State)
	}
}

func TestANewFleetOfAnOldNameIsRefusedAndTheOldOneLives(t *testing.T) {
	b := bench(t)
	s := spawn(t, b, order(t, b, "twice", 1))
	_, err := b.Spawn(t.Context(), order(t, b, "twice", 1), func(string) {})
	if report.CodeOf(err) != report.Usage {
		t.Errorf("got %v, want bad input", err)
	}
	if !s.Clones[0].Process.Alive() {
		t.Error("the clone of the first fleet died")
	}
}

func TestABridgeOfTheHostServes(t *testing.T) {
	b := bench(t)
	wire := lab("owner") // a lab of somebody else's stands for the host's network
	wire.Dir = t.TempDir()
	t.Cleanup(func() { wire.Down(context.WithoutCancel(t.Context())) })
	if err := wire.Up(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	o := order(t, b, "guest", 1)
	o.Lab, o.Network = nil, wire.Network
	s := spawn(t, b, o)
	all, err := b.Wait(t.Context(), "guest", patience, nil)
	if err != nil || !all[0].Address.IsValid() {
		t.Fatalf("%+v, %v", all, err)
	}
	if err := b.Remove(t.Context(), "guest", 0); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, b, s.ID)
	if err := wire.Check(); err == nil {
		t.Error("the network of somebody else went with the fleet")
	}
	// The MAC that the clone would get is somebody else's on that wire now: it gets another.
	mac := s.Clones[0].MAC
	ns, err := vlan.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	stranger := os.NewFile(uintptr(ns), "network namespace")
	defer stranger.Close()
	if err := wire.Plug("stranger", mac, int(ns)); err != nil {
		t.Fatal(err)
	}
	up := exec.Command("nsenter", "--net=/proc/self/fd/3", "sh", "-ec", "ip addr add 10.0.9.9/24 dev host0; ip link set host0 up")
	up.ExtraFiles = []*os.File{stranger}
	if out, err := up.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if s = spawn(t, b, o); s.Clones[0].MAC == mac {
		t.Errorf("%s was given away although it is on the wire", mac)
	}
	if err := b.Remove(t.Context(), "guest", 0); err != nil {
		t.Fatal(err)
	}
	o.Network.Bridge = "nosuch"
	if _, err := b.Spawn(t.Context(), o, func(string) {}); report.CodeOf(err) != report.Usage {
		t.Errorf("a bridge that is not there: %v", err)
	}
	nothingLeft(t, b)
}

func TestASpawnThatFailsHalfWayLeavesNothing(t *testing.T) {
	b := bench(t)
	o := order(t, b, "half", 3)
	o.Driver = &failing{Nspawn: driver.Nspawn{}, after: 2}
	_, err := b.Spawn(t.Context(), o, func(string) {})
	if err == nil || !strings.Contains(err.Error(), "half-3: no more room") {
		t.Errorf("got %v", err)
	}
	nothingLeft(t, b, space("half"))
}

// failing is a driver whose machines can be created only so often, as on a disk that fills up.
type failing struct {
	driver.Nspawn
	after int
}

func (f *failing) Create(ctx context.Context, m driver.Machine) error {
	if f.after--; f.after < 0 {
		return fmt.Errorf("no more room")
	}
	return f.Nspawn.Create(ctx, m)
}

// TestSpawnHelper is no test: it is the goldsmith that the next test kills.
func TestSpawnHelper(t *testing.T) {
	home := os.Getenv("GOLDSMITH_SPAWN_HOME")
	if home == "" {
		t.Skip("runs only as the victim of TestSIGKILLDuringSpawnLeaksNothing")
	}
	b := fleet.Bench{Home: home}
	if _, err := b.Spawn(t.Context(), order(t, b, "victim", 3), func(string) {}); err != nil {
		t.Fatal(err)
	}
}

func TestSIGKILLDuringSpawnLeaksNothing(t *testing.T) {
	b := bench(t)
	whole, _ := killSpawn(t, b, time.Hour)
	seed := rand.Uint64()
	t.Logf("a whole spawn takes %s; seed %d", whole, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kinds := map[string]int{}
	for range 20 {
		_, kind := killSpawn(t, b, time.Duration(random.Int64N(int64(whole))))
		kinds[kind]++
	}
	t.Logf("what the kills met: %v", kinds)
}

// killSpawn lets a process spawn three clones, kills it after d, settles, removes, and looks for traces. It returns how
// long the process lived, and what the kill had left.
func killSpawn(t *testing.T, b fleet.Bench, d time.Duration) (time.Duration, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSpawnHelper$")
	cmd.Env = append(os.Environ(), "GOLDSMITH_SPAWN_HOME="+b.Home, "GOLDSMITH_SPAWN_RUN="+run())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(d, func() { cmd.Process.Signal(syscall.SIGKILL) })
	err := cmd.Wait()
	timer.Stop()
	lived := time.Since(began)
	if d == time.Hour && err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	kind := leftBy(b)
	if _, err := b.Settle(t.Context()); err != nil {
		t.Fatalf("settle after %s (%s): %v", lived, kind, err)
	}
	if err := b.Remove(t.Context(), "victim", 0); err != nil {
		t.Fatalf("remove after %s (%s): %v", lived, kind, err)
	}
	nothingLeft(t, b, space("victim"))
	if t.Failed() {
		t.Fatalf("killed after %s, having left %s", lived, kind)
	}
	return lived, kind
}

// leftBy describes what a killed spawn had come to.
func leftBy(b fleet.Bench) string {
	raw, err := os.ReadFile(filepath.Join(b.Home, "fleets", "victim", "fleet.json"))
	if err != nil {
		return "nothing written"
	}
	var s fleet.State
	if err := json.Unmarshal(raw, &s); err != nil {
		return "a torn state file"
	}
	started := len(slices.DeleteFunc(s.Clones, func(c fleet.Clone) bool { return c.Process.PID == 0 }))
	return fmt.Sprintf("%s with %d started", s.Phase, started)
}

func TestClonesOutliveTheirGoldsmith(t *testing.T) {
	b := bench(t)
	cmd := exec.Command(os.Args[0], "-test.run=^TestSpawnHelper$")
	cmd.Env = append(os.Environ(), "GOLDSMITH_SPAWN_HOME="+b.Home, "GOLDSMITH_SPAWN_RUN="+run())
	cmd.Stderr = io.Discard
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if notes, err := b.Settle(t.Context()); err != nil || len(notes) > 0 {
		t.Errorf("something to settle after a whole spawn: %v, %v", notes, err)
	}
	if _, err := b.Wait(t.Context(), "victim", patience, nil); err != nil {
		t.Error(err)
	}
}

// inside runs a command in a clone.
func inside(t *testing.T, s *fleet.State, n int, argv ...string) string {
	t.Helper()
	cmd, err := s.Command(t.Context(), s.Clones[n], argv...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v in %s: %v: %s", argv, s.Clones[n].Name, err, out)
	}
	return string(out)
}

func TestVerifyPassesTwinsThatDifferAndFailsThoseThatDoNot(t *testing.T) {
	b := bench(t)
	s := spawn(t, b, order(t, b, "twins", 2))
	if _, err := b.Wait(t.Context(), "twins", patience, nil); err != nil {
		t.Fatal(err)
	}
	p, err := b.Verify(t.Context(), "twins", patience, nil)
	if err != nil || len(p.Clashes) != 0 || len(p.Clones) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, c := range p.Clones {
		for _, a := range c.Answers {
			want := report.Skip // a stack that is not in this image
			if slices.Contains([]string{"mac", "address", "dhcp client id", "machine-id", "ssh host key"}, a.Probe) {
				want = report.Pass
			}
			if a.Verdict != want {
				t.Errorf("%s: %+v, want %s", c.Clone, a, want)
			}
		}
	}

	// The second takes over what is the first's.
	key := inside(t, s, 0, "cat", "/etc/ssh/ssh_host_ed25519_key")
	id := inside(t, s, 0, "cat", "/etc/machine-id")
	inside(t, s, 1, "sh", "-ec", `printf %s "$1" >/etc/ssh/ssh_host_ed25519_key; printf %s "$2" >/etc/machine-id`, "sh", key, id)
	p, err = b.Verify(t.Context(), "twins", patience, nil)
	if report.CodeOf(err) != report.Unverified {
		t.Fatalf("got %v, want it unverified", err)
	}
	var clashes []string
	for _, k := range p.Clashes {
		clashes = append(clashes, k.Probe)
	}
	if got, want := strings.Join(clashes, ", "), "machine-id, ssh host key"; got != want {
		t.Errorf("clashes in %s, want %s", got, want)
	}
}

func TestVerifyFailsAnImpostor(t *testing.T) {
	b := bench(t)
	s := spawn(t, b, order(t, b, "impostor", 2))
	if _, err := b.Wait(t.Context(), "impostor", patience, nil); err != nil {
		t.Fatal(err)
	}
	first := inside(t, s, 0, "cat", "/sys/class/net/host0/address")
	inside(t, s, 1, "ip", "link", "set", "host0", "address", strings.TrimSpace(first))
	_, err := b.Verify(t.Context(), "impostor-2", patience, nil)
	if report.CodeOf(err) != report.Unverified || !strings.Contains(err.Error(), "mac") {
		t.Errorf("got %v, want the MAC complained of", err)
	}
}
