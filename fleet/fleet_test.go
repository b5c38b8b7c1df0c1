package fleet

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
)

func TestMACs(t *testing.T) {
	oui, err := parseOUI(DefaultOUI)
	if err != nil {
		t.Fatal(err)
	}
	none := func(string) bool { return false }
	a, _ := pickMAC(oui, "demo-1", none)
	again, _ := pickMAC(oui, "demo-1", none)
	if a != again {
		t.Errorf("the MAC of one name changed from %s to %s", a, again)
	}
	if !strings.HasPrefix(a, "52:54:00:") {
		t.Errorf("%s does not begin with the prefix", a)
	}
	next, _ := pickMAC(oui, "demo-1", func(mac string) bool { return mac == a })
	if next == a {
		t.Errorf("%s was given away twice", a)
	}
	seen := map[string]bool{}
	for n := range 5000 {
		mac, err := pickMAC(oui, cloneName("t", n), func(mac string) bool { return seen[mac] })
		if err != nil || seen[mac] {
			t.Fatalf("clone %d: %s, %v", n, mac, err)
		}
		seen[mac] = true
	}
	if _, err := pickMAC(oui, "demo-1", func(string) bool { return true }); err == nil {
		t.Error("a MAC where all are taken")
	}
}

func TestOUIIsRefused(t *testing.T) {
	for _, s := range []string{"53:54:00", "01:00:5e", "52:54", "52:54:00:01", "x", "", "52-54-zz"} {
		if _, err := parseOUI(s); report.CodeOf(err) != report.Usage {
			t.Errorf("%q: got %v, want bad input", s, err)
		}
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"demo": true, "a": true, "t-1": true, "": false, "Demo": false, "1a": false, "a-": false, "a_b": false, "../x": false,
		"a.b": false, strings.Repeat("a", 41): false, strings.Repeat("a", 40): true, "a\n": false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: got %v, want it accepted: %t", name, err, ok)
		}
	}
}

func TestMountBelow(t *testing.T) {
	info := "22 1 0:5 / /proc rw - proc proc rw\n" +
		`23 1 0:6 / /srv/my\040fleet/demo-1/root rw - overlay overlay rw` + "\n" +
		"24 1 0:7 / /srv/fleets-old/x rw - ext4 /dev/vdb rw\n"
	for dir, want := range map[string]string{
		"/srv/my fleet": "/srv/my fleet/demo-1/root", "/srv/my fleet/demo-1/root": "/srv/my fleet/demo-1/root",
		"/srv/fleets": "", "/srv/my": "",
	} {
		if got := mountBelow(info, dir); got != want {
			t.Errorf("below %s: got %q, want %q", dir, got, want)
		}
	}
}

func TestNamesOfClonesAndFleetsNeverMeet(t *testing.T) {
	b := Bench{Home: t.TempDir()}
	first, err := b.plan(Order{Name: "a", Count: 3, Driver: driver.Nspawn{}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		order   string
		count   int
		refused bool
	}{
		{"the same fleet", "a", 1, true},
		{"a fleet called as a clone", "a-2", 1, true},
		{"a fleet called as no clone", "a-4", 1, false},
		{"another", "b", 3, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := b.plan(Order{Name: tt.order, Count: tt.count, Driver: driver.Nspawn{}}, []*State{first}, nil)
			if (err != nil) != tt.refused || tt.refused && report.CodeOf(err) != report.Usage {
				t.Errorf("got %v, want it refused: %t", err, tt.refused)
			}
		})
	}
	child, err := b.plan(Order{Name: "x-1", Count: 1, Driver: driver.Nspawn{}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.plan(Order{Name: "x", Count: 1, Driver: driver.Nspawn{}}, []*State{child}, nil); report.CodeOf(err) != report.Usage {
		t.Errorf("a clone called as a fleet: got %v", err)
	}
}

func TestPlanGivesEveryCloneItsOwn(t *testing.T) {
	b := Bench{Home: t.TempDir()}
	claims := []identity.Claim{{Prefix: "p1-"}, {Hostname: "named", Prefix: "p2-"}}
	s, err := b.plan(Order{Name: "t", Count: 2, Driver: driver.Nspawn{}, Claims: claims}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	one, two := s.Clones[0], s.Clones[1]
	if one.Claim.Hostname != "t-1" || two.Claim.Hostname != "named" || one.Claim.Prefix != "p1-" {
		t.Errorf("claims are %+v and %+v", one.Claim, two.Claim)
	}
	if one.MAC == two.MAC || one.UUID == two.UUID || one.Unit == two.Unit || one.Dir == two.Dir || one.Claim.Instance == two.Claim.Instance {
		t.Errorf("two clones share something: %+v and %+v", one, two)
	}
	if port := one.Unit + "v"; len(port) > 15 {
		t.Errorf("%s is too long for a link", port)
	}
}

func TestStateIsKept(t *testing.T) {
	b := Bench{Home: t.TempDir()}
	s, err := b.plan(Order{Name: "t", Count: 2, Driver: driver.Nspawn{}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.folder("t"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := b.save(s); err != nil {
		t.Fatal(err)
	}
	got, err := b.load("t")
	if err != nil {
		t.Fatal(err)
	}
	s.Made = got.Made // without the monotonic clock
	if diff := cmp.Diff(s, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Error(diff)
	}
	if st, _ := os.Stat(stateFile(b.folder("t"))); st.Mode().Perm() != 0o600 {
		t.Errorf("the state has mode %v", st.Mode())
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"format":1,"name":"t","clones":[{"name":"t-1"}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := decodeState("t", raw); err == nil && (s.Format != stateFormat || s.Name != "t") {
			t.Errorf("accepted %s", raw)
		}
	})
}

func TestLockIsHeldOnceAndFollowsTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fleet")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockDir(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(t.Context(), dir, 0); report.CodeOf(busy("t", err)) != report.Usage {
		t.Errorf("taken twice: %v", err)
	}
	go func() { time.Sleep(100 * time.Millisecond); unlock() }()
	again, err := lockDir(t.Context(), dir, 5*time.Second)
	if err != nil {
		t.Fatal("not free after it was let go: ", err)
	}
	again()
	if _, err := lockDir(t.Context(), dir+"x", time.Second); !os.IsNotExist(err) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestSettleLeavesWhatIsWorkedOn(t *testing.T) {
	b := Bench{Home: t.TempDir()}
	if err := os.MkdirAll(b.folder("empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.folder("busy"), 0o700); err != nil {
		t.Fatal(err)
	}
	unlock, err := lockDir(t.Context(), b.folder("busy"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := b.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if exists(b.folder("empty")) {
		t.Error("a fleet that was cut before anything was written down is still there")
	}
	if !exists(b.folder("busy")) {
		t.Error("a fleet that somebody works on was removed")
	}
}

func TestLastWords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "console.log")
	for text, want := range map[string]string{
		"a\r\nkernel panic\r\n\r\n":               "last words: kernel panic",
		"stopped\n" + cleanup + " under \"/x\"\n": "last words: stopped",
		"\n": "it said nothing on its console",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := lastWords(file); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestWaitSaysWhy(t *testing.T) {
	ready := Standing{Clone: "t-1", State: Condition(report.Ready)}
	failed := Standing{Clone: "t-2", State: Condition(report.Failed), Why: "no lease", Report: &report.Report{Code: report.Stopped}}
	slow := Standing{Clone: "t-3", State: Booting}
	if err := verdict([]Standing{ready}, 0); err != nil {
		t.Errorf("all ready: %v", err)
	}
	err := verdict([]Standing{ready, failed, slow}, time.Minute)
	if got, want := err.Error(), "t-3 is not ready after 1m0s: still booting\nt-2 failed: no lease"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if report.CodeOf(err) != report.Unverified {
		t.Errorf("got code %d, want the worst of all", report.CodeOf(err))
	}
}
