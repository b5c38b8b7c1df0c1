//go:build clones

package fleet_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
)

// states counts the clones in each condition.
func states(all []fleet.Standing) map[fleet.Condition]int {
	out := map[fleet.Condition]int{}
	for _, st := range all {
		out[st.State]++
	}
	return out
}

const waiting = fleet.Condition(report.Waiting)

// become waits for clones to be in these conditions, and returns those that they are in, with what a user who waited as long
// would read.
func become(t *testing.T, b fleet.Bench, name string, want map[fleet.Condition]int) (map[fleet.Condition]int, error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		all, err := b.Wait(t.Context(), name, time.Second, nil)
		if got := states(all); maps.Equal(got, want) || time.Now().After(end) {
			return got, err
		}
	}
}

func TestADHCPServerThatIsSilentForAWhileDelaysOnly(t *testing.T) {
	t.Parallel()
	b := bench(t)
	s := spawn(t, b, order(t, b, "silent", 2))
	if err := s.Lab.Server.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	silence := time.Now()
	got, err := become(t, b, "silent", map[fleet.Condition]int{waiting: 2})
	if report.CodeOf(err) != report.Unverified || !strings.Contains(err.Error(), "still waiting") {
		t.Errorf("while the server is silent the clones are %v: %v", got, err)
	}
	time.Sleep(30*time.Second - time.Since(silence))
	if err := s.Lab.Serve(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Lab.Server.Kill(context.WithoutCancel(t.Context())) })
	if _, err := b.Wait(t.Context(), "silent", patience, nil); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

func TestAnExhaustedPoolLeavesTheOthersUnharmed(t *testing.T) {
	t.Parallel()
	b := bench(t)
	o := order(t, b, "pool", 3)
	o.Lab.Pool = 2
	spawn(t, b, o)
	got, err := become(t, b, "pool", map[fleet.Condition]int{fleet.Condition(report.Ready): 2, waiting: 1})
	if report.CodeOf(err) != report.Unverified || strings.Count(err.Error(), "is not ready") != 1 {
		t.Errorf("the clones are %v: %v", got, err)
	}
	time.Sleep(10 * time.Second) // who has no address does not take another's
	if later, err := become(t, b, "pool", got); err == nil {
		t.Errorf("the clones became %v", later)
	}
}

func TestABridgeThatIsGoneIsReportedAndRemoved(t *testing.T) {
	b := bench(t)
	s := spawn(t, b, order(t, b, "nobridge", 1))
	if _, err := b.Wait(t.Context(), "nobridge", patience, nil); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "-n", s.Network.Namespace, "link", "del", s.Network.Bridge).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := b.Verify(t.Context(), "nobridge", patience, nil); report.CodeOf(err) != report.Unverified || !strings.Contains(err.Error(), "cannot find the link") {
		t.Errorf("verify without the bridge: %v", err)
	}
	if err := b.Remove(t.Context(), "nobridge", time.Second); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, b, s.ID, space("nobridge"))
}

func TestAFullDiskKeepsNobodyFromRemoving(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=352m", "goldsmith-test", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	b := fleet.Bench{Home: filepath.Join(dir, "home")}
	o := fleet.Order{Name: "full", Count: 2, Driver: driver.Nspawn{}, Lab: lab("full"),
		Image: driver.Image{Name: "small", Root: drivertest.SmallTree(t)}}
	s := spawn(t, b, o)
	fill := exec.Command("dd", "if=/dev/zero", "bs=1M", "of="+filepath.Join(dir, "filler"), "status=none")
	if err := fill.Run(); err == nil {
		t.Fatal("the disk does not get full")
	}
	if err := exec.Command("dd", "if=/dev/zero", "bs=512", "of="+filepath.Join(dir, "filler2"), "status=none").Run(); err == nil {
		t.Fatal("the disk does not get full")
	}
	o.Name, o.Lab = "second", lab("second")
	if _, err := b.Spawn(t.Context(), o, func(string) {}); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "MiB free") {
		t.Errorf("a spawn on a full disk: %v", err)
	}
	if err := b.Remove(t.Context(), "full", time.Second); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, b, s.ID, space("full"), space("second"))
}
