package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// schema is where Debian's openvswitch-common keeps the database's schema.
const schema = "/usr/share/openvswitch/vswitch.ovsschema"

// OVS starts an ovsdb-server with an empty database and returns its socket, the database file, and a function that runs
// ovs-vsctl on it. There is no switch behind it.
func OVS(t testing.TB) (socket, file string, vsctl func(args ...string) string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, socket = filepath.Join(dir, "conf.db"), filepath.Join(dir, "s")
	if out, err := exec.Command("ovsdb-tool", "create", file, schema).CombinedOutput(); err != nil {
		t.Fatalf("ovsdb-tool: %v\n%s\nhint: make setup installs Open vSwitch", err, out)
	}
	cmd := exec.Command("ovsdb-server", file, "--remote=punix:"+socket, "--pidfile="+filepath.Join(dir, "ovsdb-server.pid"), "--no-chdir")
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+dir) // where its control socket is
	if err := cmd.Start(); err != nil {
		t.Fatalf("ovsdb-server: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for range 200 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	vsctl = func(args ...string) string {
		t.Helper()
		out, err := exec.Command("ovs-vsctl", append([]string{"--no-wait", "--timeout=10", "--db=unix:" + socket}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ovs-vsctl %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	vsctl("init")
	return socket, file, vsctl
}
