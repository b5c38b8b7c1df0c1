//go:build integration

package killmatrix

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// A machine that is broken in one way: firstboot must stop with the documented code and say what is wrong; when the fault
// is gone, one more run must end as if it had never been there.
func TestFaults(t *testing.T) {
	bin := build(t)
	sock, db := hosttest.MariaDB(t)
	f := rewritertest.Named(t, fixtures, "keystone-debian")
	l := &lab{f: f, bin: bin, sock: sock, db: db, dir: hosttest.Dir(t)}
	l.fresh(t, nil)
	l.run(t, f.Scene.To[0], 0)
	want := l.snapshot(t)

	cases := []struct {
		name string
		// shell runs in a mount namespace of its own, with the tree in $R, before "$@", the run itself
		shell string
		env   []string
		sock  string
		code  report.Code
		says  string
	}{
		{name: "read-only /etc", shell: `mount --bind "$R/etc" "$R/etc" && mount -o remount,bind,ro "$R/etc"`, code: report.Stopped, says: "read-only file system"},
		{name: "full disk", shell: `cp -a "$R" "$R.full" && mount -t tmpfs -o size=$(( $(du -sk "$R" | cut -f1) + 8 ))k none "$R" && cp -a "$R.full/." "$R" && rm -rf "$R.full" && ` +
			`{ cat /dev/zero > "$R/filler" 2>/dev/null || true; }`, code: report.Internal, says: "no space left on device"},
		{name: "database gone", shell: "true", sock: "/nonexistent/s", code: report.Refused, says: "no database server"},
		{name: "a unit that fails to restart", shell: "true", env: []string{"GOLDSMITH_UNITS=/nonexistent/ledger"}, code: report.Stopped, says: "cannot restart"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l.fresh(t, nil)
			if c.sock != "" {
				l.sock = c.sock
			}
			cmd := l.command(t, f.Scene.To[0], "apply", c.env...)
			l.sock = sock
			inner := append([]string{"-m", "sh", "-ec", c.shell + "\n" + `"$@"`, "sh"}, cmd.Args...)
			broken := exec.Command("unshare", inner...)
			broken.Env = append(cmd.Env, "R="+l.root())
			out, _ := broken.CombinedOutput()
			if got := report.Code(broken.ProcessState.ExitCode()); got != c.code {
				t.Errorf("ended with %d, not %d", got, c.code)
			}
			if !strings.Contains(strings.ToLower(string(out)), c.says) {
				t.Errorf("does not say %q:\n%s", c.says, out)
			}
			l.run(t, f.Scene.To[0], 0)
			l.same(t, c.name, want, nil)
		})
	}
}

// TestBindMount: a file that is a mount point is written in place, and a cut in the middle of that is repaired.
func TestBindMount(t *testing.T) {
	bin := build(t)
	sock, db := hosttest.MariaDB(t)
	for _, f := range rewritertest.All(t, fixtures) {
		if f.Name != "keystone-debian" {
			continue
		}
		l := &lab{f: f, bin: bin, sock: sock, db: db, dir: hosttest.Dir(t)}
		l.fresh(t, nil)
		l.run(t, f.Scene.To[0], 0)
		want, err := os.ReadFile(filepath.Join(l.root(), "etc/hosts"))
		check(t, err)
		step, cuts := 5, 0 // make proof takes each
		if *full {
			step = 1
		}
		for n := 1; ; n += step {
			l.fresh(t, nil)
			cmd := l.command(t, f.Scene.To[0], "apply")
			script := `cp "$R/etc/hosts" "$R/under" && mount --bind "$R/under" "$R/etc/hosts" && { GOLDSMITH_CUT=$N "$@" >/dev/null 2>&1; first=$?; "$@"; cmp "$R/under" "$R/etc/hosts"; exit $(( first == 0 ? 77 : 0 )); }`
			broken := exec.Command("unshare", append([]string{"-m", "sh", "-c", script, "sh"}, cmd.Args...)...)
			broken.Env = append(cmd.Env, "R="+l.root(), "N="+strconv.Itoa(n))
			out, err := broken.CombinedOutput()
			if code := broken.ProcessState.ExitCode(); code != 0 && code != 77 {
				t.Fatalf("cut %d: %v\n%s", n, err, out)
			}
			got, err := os.ReadFile(filepath.Join(l.root(), "under"))
			check(t, err)
			if string(got) != string(want) {
				t.Fatalf("cut %d: the mounted file holds\n%s", n, got)
			}
			if broken.ProcessState.ExitCode() == 77 {
				t.Logf("bind mount: %d cuts", cuts)
				return
			}
			cuts++
		}
	}
}

// TestTwoBoots: with nothing changed a run says so, changes no file and restarts nothing.
func TestTwoBoots(t *testing.T) {
	bin := build(t)
	sock, db := hosttest.MariaDB(t)
	f := rewritertest.All(t, fixtures)[0]
	l := &lab{f: f, bin: bin, sock: sock, db: db, dir: hosttest.Dir(t)}
	l.fresh(t, nil)
	l.run(t, f.Scene.To[0], 0)
	before, ledger := l.snapshot(t), len(l.ledger(t))
	l.sock = "/nonexistent/no-database-is-needed"
	l.run(t, f.Scene.To[0], 0)
	l.sock = sock
	l.same(t, "second boot", before, nil)
	if len(l.ledger(t)) != ledger {
		t.Error("something was restarted")
	}
	check(t, os.WriteFile(filepath.Join(l.root(), "etc/hosts"), []byte(f.Files["/etc/hosts"]), 0o644))
	l.run(t, f.Scene.To[0], 0) // what an upgrade brought back goes again
	if got := l.snapshot(t)["/etc/hosts"]; got != before["/etc/hosts"] {
		t.Errorf("the golden identity came back and stayed:\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(l.root(), identity.ReportFile)); err != nil {
		t.Error(err)
	}
}
