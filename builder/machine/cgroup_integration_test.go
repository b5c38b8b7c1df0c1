//go:build integration

package machine

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// A bake into one home removes what a killed one has left, and lets the machine of a bake into another home be.
func TestRemoveGroupsLeavesLivingMachines(t *testing.T) {
	living, err := newGroup(fmt.Sprintf("test-living-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	left, err := newGroup(fmt.Sprintf("test-left-%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "60")
	if err := living.start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // may have ended
		_ = cmd.Wait()
		if err := living.remove(); err != nil {
			t.Error(err)
		}
	})
	until := func() bool { // the shell moves itself into the group before it becomes sleep
		b, err := os.ReadFile(living.dirs[len(living.dirs)-1] + "/cgroup.procs")
		return err == nil && len(b) > 0
	}
	for !until() {
		if t.Context().Err() != nil {
			return
		}
	}
	if err := RemoveGroups(); err != nil {
		t.Errorf("a living machine of another bake is an error: %v", err)
	}
	for _, dir := range left.dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
	for _, dir := range living.dirs {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the living machine lost %s", dir)
		}
	}
}
