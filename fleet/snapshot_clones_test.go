//go:build clones && vm

package fleet_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
)

func keep(t *testing.T, b fleet.Bench, name, snap string) {
	t.Helper()
	if err := b.Snapshot(t.Context(), name, snap, func(string) {}); err != nil {
		t.Fatal(err)
	}
}

// TestSnapshotsBringClonesBack writes into two clones after a snapshot, ends one, and takes both back.
func TestSnapshotsBringClonesBack(t *testing.T) {
	t.Parallel()
	b := bench(t)
	s := spawn(t, b, order(t, b, "snap", 2))
	if _, err := b.Wait(t.Context(), "snap", patience, nil); err != nil {
		t.Fatal(err)
	}
	const lasting = "/etc/lasting"
	for n := range 2 {
		// a whiteout, an opaque folder and a hard link: what only an overlay's layer holds
		inside(t, s, n, "sh", "-ec", "echo before >"+lasting+"; ln "+lasting+" /etc/other; rm -r /usr/share/doc /etc/issue; mkdir /usr/share/doc")
	}
	keep(t, b, "snap", "clean")
	if err := b.Snapshot(t.Context(), "snap-2", "clean", nil); report.CodeOf(err) != report.Usage {
		t.Errorf("a second one of that name: %v", err)
	}
	for n := range 2 {
		inside(t, s, n, "sh", "-ec", "echo after >"+lasting+"; touch /etc/issue")
	}
	if err := s.Clones[1].Process.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Restore(t.Context(), "snap", "clean", func(string) {}); err != nil {
		t.Fatal(err)
	}
	all, err := b.Wait(t.Context(), "snap", patience, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = fleetOf(b, "snap"); err != nil {
		t.Fatal(err)
	}
	for n, st := range all {
		if st.Age > time.Minute || st.Ready == 0 {
			t.Errorf("%s did not boot anew: %+v", st.Clone, st)
		}
		got := inside(t, s, n, "sh", "-c", "cat "+lasting+"; stat -c %h "+lasting+"; ls /etc/issue /usr/share/doc 2>&1; true")
		if want := "before\n2\nls: cannot access '/etc/issue': No such file or directory\n/usr/share/doc:\n"; got != want {
			t.Errorf("%s holds %q, want %q", st.Clone, got, want)
		}
	}
	for range 2 {
		if err := b.RemoveSnapshot(t.Context(), "snap", "clean"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Restore(t.Context(), "snap", "clean", nil); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), `no snapshot "clean"`) {
		t.Errorf("back to what was removed: %v", err)
	}
	if err := b.Remove(t.Context(), "snap", 0); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, b, s.ID, space("snap"))
}

// TestSnapshotHelper is no test: it is the goldsmith that the next test kills.
func TestSnapshotHelper(t *testing.T) {
	home := os.Getenv("GOLDSMITH_SNAPSHOT_HOME")
	if home == "" {
		t.Skip("runs only as the victim of TestSIGKILLDuringASnapshotHarmsNobody")
	}
	b := fleet.Bench{Home: home}
	keep(t, b, "cut", "s")
	if err := b.Restore(t.Context(), "cut", "s", func(string) {}); err != nil {
		t.Fatal(err)
	}
}

// TestSIGKILLDuringASnapshotHarmsNobody cuts a goldsmith that takes a snapshot and goes back to it: afterwards the next one
// finds the clone alive, neither frozen nor half-restored, and what it lists can be gone back to.
func TestSIGKILLDuringASnapshotHarmsNobody(t *testing.T) {
	t.Parallel()
	b := bench(t)
	spawn(t, b, order(t, b, "cut", 1))
	if _, err := b.Wait(t.Context(), "cut", patience, nil); err != nil {
		t.Fatal(err)
	}
	const cuts = 6
	whole := cutSnapshot(t, b, time.Hour)
	for n := range cuts {
		cutSnapshot(t, b, whole*time.Duration(n)/cuts)
	}
}

// cutSnapshot kills the helper after d, settles, and asks the clone. It returns how long the helper lived.
func cutSnapshot(t *testing.T, b fleet.Bench, d time.Duration) time.Duration {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSnapshotHelper$")
	cmd.Env = append(os.Environ(), "GOLDSMITH_SNAPSHOT_HOME="+b.Home, "GOLDSMITH_SPAWN_RUN="+run())
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(d, func() { cmd.Process.Signal(syscall.SIGKILL) })
	err := cmd.Wait()
	timer.Stop()
	lived := time.Since(began)
	if d == time.Hour && err != nil {
		t.Fatal(err)
	}
	notes, err := b.Settle(t.Context())
	if err != nil {
		t.Fatalf("settle after %s: %v", lived, err)
	}
	if _, err := b.Wait(t.Context(), "cut", patience, nil); err != nil {
		t.Fatalf("after %s and %q: %v", lived, notes, err)
	}
	s, err := fleetOf(b, "cut")
	if err != nil {
		t.Fatal(err)
	}
	inside(t, s, 0, "true") // a frozen one does not answer
	t.Logf("cut after %s: %q, %d snapshots", lived.Round(time.Millisecond), notes, len(s.Clones[0].Snapshots))
	if len(s.Clones[0].Snapshots) > 0 {
		if err := b.Restore(t.Context(), "cut", "s", func(string) {}); err != nil {
			t.Fatalf("back to a snapshot that is listed: %v", err)
		}
	}
	if err := b.RemoveSnapshot(t.Context(), "cut", "s"); err != nil {
		t.Fatal(err)
	}
	return lived
}
