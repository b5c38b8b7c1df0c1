//go:build vm

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"goldsmith/builder/disk"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
)

// TestVMHandMade adopts a machine with OpenStack on it that goldsmith had no part in, and lets three clones of it prove
// themselves: each issues tokens, its catalogue names nobody but itself, and its Horizon answers. The machine is made by
// testdata/handmade/make.sh, which fetches packages from a Debian mirror; HANDMADE_DEBS names a folder that has them.
func TestVMHandMade(t *testing.T) {
	if err := disk.CheckRoom("/var/tmp", 8<<30); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "gs-adopt-") // a short path, on a real disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin, err := filepath.Abs("../../bin/goldsmith")
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Stderr, cmd.Env = os.Stderr, append(os.Environ(), "GOLDSMITH_HOME="+filepath.Join(dir, "home"))
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return out
	}
	original, golden := filepath.Join(dir, "cloud0.qcow2"), filepath.Join(dir, "golden.qcow2")
	run("testdata/handmade/make.sh", dir, os.Getenv("HANDMADE_DEBS"))
	before := run("sha256sum", original)

	t.Logf("%s", run(bin, "adopt", original, "-o", golden))
	if after := run("sha256sum", original); string(after) != string(before) {
		t.Error("the original was changed")
	}
	run("qemu-img", "check", golden)

	t.Cleanup(func() { // also after a failure, before the folder goes
		cmd := exec.Command(bin, "remove", "hand", "--home", filepath.Join(dir, "home"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	run(bin, "clone", golden, "-n", "3", "--lab", "--wait", "--name", "hand")
	var proof fleet.Proof
	if err := json.Unmarshal(run(bin, "verify", "hand", "--json"), &proof); err != nil {
		t.Fatal(err)
	}
	judge(t, proof)
}

// judge looks that every clone gave the answers that matter; verify has failed if any was wrong.
func judge(t *testing.T, p fleet.Proof) {
	t.Helper()
	if len(p.Clones) != 3 || len(p.Clashes) > 0 {
		t.Errorf("%d clones, clashes: %v", len(p.Clones), p.Clashes)
	}
	for _, c := range p.Clones {
		passed := map[string]bool{}
		for _, a := range c.Answers {
			passed[a.Probe] = a.Verdict == report.Pass
		}
		for _, probe := range []string{"keystone", "keystone keys", "horizon", "machine-id", "ssh host key"} {
			if !passed[probe] {
				t.Errorf("%s: %s did not pass: %+v", c.Clone, probe, c.Answers)
			}
		}
	}
}
