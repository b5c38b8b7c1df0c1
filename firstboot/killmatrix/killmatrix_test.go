//go:build integration

package killmatrix

import (
	"bytes"
	gocmp "cmp"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters/rewritertest"
)

const fixtures = "../rewriters/testdata"

// TestKillMatrix kills the real binary with SIGKILL before and after every durable step, on every fixture, on three roads:
// from the golden image to a first identity, from there to a second, and towards the first but then to the second. After one more run everything must be as if
// nothing had happened: same bytes, owners, modes and rows, nothing left to plan, every restart made.
func TestKillMatrix(t *testing.T) {
	bin := build(t)
	var total atomic.Int64
	t.Run("on", func(t *testing.T) {
		// The big front-end on SQLite has the same plan as on MariaDB: what differs is how rows are written.
		sqlite, _ := rewritertest.FrontEndOnSQLite(t, fixtures)
		sqlite.Scene.Cuts = 6
		for _, f := range append(rewritertest.All(t, fixtures), sqlite) {
			t.Run(f.Name, func(t *testing.T) {
				t.Parallel()
				n := matrix(t, f, bin)
				total.Add(int64(n))
				t.Logf("%d cuts", n)
			})
		}
	})
	t.Logf("kill matrix: %d cuts", total.Load())
	if total.Load() == 0 {
		t.Error("nothing was cut")
	}
}

// matrix cuts all roads of one fixture and returns how often it cut.
func matrix(t *testing.T, f *rewritertest.Fixture, bin string) int {
	if len(f.Scene.To) < 2 {
		t.Fatal("a fixture needs two identities")
	}
	l := &lab{f: f, bin: bin, dir: hosttest.Dir(t)}
	if f.MariaDB() {
		l.sock, l.db = hosttest.MariaDB(t)
	}
	if f.Postgres() {
		l.pg = hosttest.Postgres(t)
	}
	first, points := l.road(t, nil, f.Scene.To[0])
	second, _ := l.road(t, &f.Scene.To[0], f.Scene.To[1])
	return first + second + l.change(t, points)
}

// full asks for every point of every road. Without it, a road of more than most points is cut at most of them, evenly: a
// whole OpenStack has seven hundred, and a change to the engine shows on the small fixtures, which are always cut whole.
var full = flag.Bool("full", false, "cut every road at every point (make proof)")

const most = 16

// chosen returns the points, counted from 1, at which a road of n points is cut.
func (l *lab) chosen(n int) []int {
	step, most := 1, gocmp.Or(l.f.Scene.Cuts, most)
	if !*full {
		step = (n + most - 1) / most
	}
	var at []int
	for i := 1; i <= n; i += max(step, 1) {
		at = append(at, i)
	}
	return at
}

// A lab runs the binary on one fixture.
type lab struct {
	f         *rewritertest.Fixture
	bin, sock string
	db        *sql.DB
	pg        string // directory of PostgreSQL's socket
	dir       string
	made      bool // the schemas are there, with any content
	pgMade    bool // the same in PostgreSQL
}

func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "firstboot")
	cmd := exec.Command("go", "build", "-tags", "killmatrix,urfave_cli_no_docs,urfave_cli_no_suggest", "-o", bin, "goldsmith/cmd/firstboot")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// road cuts the way from one identity (nil: as baked) to another. It returns how often, and how many points there were.
func (l *lab) road(t *testing.T, from *identity.Identity, to identity.Identity) (cuts, points int) {
	t.Helper()
	l.fresh(t, from)
	passed := filepath.Join(l.dir, "points")
	os.Remove(passed)
	owed := l.owed(t, to)
	l.run(t, to, 0, "GOLDSMITH_CUTS="+passed)
	want := l.whole(t)
	data, err := os.ReadFile(passed)
	check(t, err)
	names := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, n := range l.chosen(len(names)) {
		l.fresh(t, from)
		l.cut(t, to, n)
		l.run(t, to, 0)
		l.same(t, fmt.Sprintf("cut %d (%s)", n, names[n-1]), want, owed)
	}
	return len(l.chosen(len(names))), len(names)
}

// change cuts the way to the first identity and then asks for the second: a clone that is cloned half-made. The end must be
// the second identity, as if the first had never been begun.
func (l *lab) change(t *testing.T, points int) int {
	t.Helper()
	l.fresh(t, nil)
	l.reboot(t)
	l.run(t, l.f.Scene.To[1], 0)
	want := l.whole(t)
	for _, n := range l.chosen(points) {
		l.fresh(t, nil)
		l.cut(t, l.f.Scene.To[0], n)
		l.reboot(t)
		l.run(t, l.f.Scene.To[1], 0)
		l.same(t, fmt.Sprintf("cut %d, then another identity", n), want, nil)
	}
	return len(l.chosen(points))
}

// reboot takes what does not outlive a boot: hardware does not change without one.
func (l *lab) reboot(t *testing.T) {
	t.Helper()
	check(t, os.RemoveAll(filepath.Join(l.root(), "run")))
}

func (l *lab) root() string { return filepath.Join(l.dir, "root") }

// fresh lays out tree and databases as baked, and takes them to from where that is given.
func (l *lab) fresh(t *testing.T, from *identity.Identity) {
	t.Helper()
	check(t, os.RemoveAll(l.root()))
	l.f.Tree(t, l.root())
	rewritertest.MakeSQLite(t, l.f, l.root())
	os.Remove(filepath.Join(l.dir, "ledger"))
	l.resetDatabase(t)
	if l.pg != "" {
		rewritertest.MakePostgres(t, l.f, l.pg, l.pgMade)
		l.pgMade = true
	}
	l.resetOVS(t)
	if from != nil {
		l.run(t, *from, 0)
		os.Remove(filepath.Join(l.dir, "ledger"))
	}
}

func (l *lab) resetDatabase(t *testing.T) {
	t.Helper()
	if l.db == nil {
		return
	}
	if l.made {
		hosttest.Load(t, l.db, l.f.Refill())
		return
	}
	var script strings.Builder
	for _, u := range l.f.Users {
		fmt.Fprintf(&script, "DROP USER IF EXISTS '%s'@'%s';", u["user"], u["host"])
	}
	for name := range l.f.Tables {
		if schema, _, _ := strings.Cut(name, "."); !host.IsSQLite(name) && !host.IsPostgres(name) {
			fmt.Fprintf(&script, "DROP DATABASE IF EXISTS `%s`;", schema)
		}
	}
	hosttest.Load(t, l.db, script.String()+l.f.SQL())
	l.made = true
}

// resetOVS makes the database file of a switch that does not run yet, as it is in the local phase.
func (l *lab) resetOVS(t *testing.T) {
	t.Helper()
	if len(l.f.OVS) == 0 {
		return
	}
	conf := filepath.Join(l.root(), "etc/openvswitch/conf.db")
	golden := filepath.Join(l.dir, "conf.db")
	if _, err := os.Stat(golden); err != nil {
		rewritertest.MakeOVS(t, l.f, golden)
	}
	data, err := os.ReadFile(golden)
	check(t, err)
	check(t, os.MkdirAll(filepath.Dir(conf), 0o755))
	check(t, os.WriteFile(conf, data, 0o640))
}

// command prepares one run of the binary.
func (l *lab) command(t *testing.T, to identity.Identity, verb string, env ...string) *exec.Cmd {
	t.Helper()
	id := filepath.Join(l.dir, "identity.json")
	data, err := json.Marshal(to)
	check(t, err)
	check(t, os.WriteFile(id, data, 0o600))
	args := []string{"--root", l.root(), "--identity", id}
	if l.sock != "" {
		args = append(args, "--mysql", l.sock)
	}
	if l.pg != "" {
		args = append(args, "--postgres", l.pg)
	}
	cmd := exec.Command(l.bin, append(args, verb)...)
	cmd.Env = append(append(os.Environ(), "GOLDSMITH_UNITS="+filepath.Join(l.dir, "ledger")), env...)
	if l.pg != "" {
		cmd.Env = append(cmd.Env, "PATH="+hosttest.PostgresPath(t))
	}
	return cmd
}

// run applies and expects an exit code.
func (l *lab) run(t *testing.T, to identity.Identity, code int, env ...string) string {
	t.Helper()
	cmd := l.command(t, to, "apply", env...)
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("apply ended with %d, not %d:\n%s", got, code, out)
	}
	return string(out)
}

// cut applies and dies at point n.
func (l *lab) cut(t *testing.T, to identity.Identity, n int) {
	t.Helper()
	if l.try(t, to, n) {
		t.Fatalf("the run ended before point %d", n)
	}
}

// try applies with a cut at point n and tells whether the run ended before it.
func (l *lab) try(t *testing.T, to identity.Identity, n int) bool {
	t.Helper()
	cmd := l.command(t, to, "apply", fmt.Sprintf("GOLDSMITH_CUT=%d", n))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return true
	}
	ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		t.Fatalf("the run at point %d was not killed: %v\n%s", n, err, out)
	}
	return false
}

// same compares machine, plan and ledger with the uninterrupted run.
func (l *lab) same(t *testing.T, what string, want map[string]string, owed []string) {
	t.Helper()
	if d := cmp.Diff(want, l.whole(t)); d != "" {
		t.Fatalf("%s: not as uninterrupted (-want +got): %s", what, d)
	}
	var to identity.Identity
	data, err := os.ReadFile(filepath.Join(l.dir, "identity.json"))
	check(t, err)
	check(t, json.Unmarshal(data, &to))
	out, err := l.command(t, to, "plan").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("\n0 changes")) && !bytes.HasPrefix(out, []byte("0 changes")) {
		t.Fatalf("%s: something is left to plan: %v\n%s", what, err, out)
	}
	got := l.ledger(t)
	for _, u := range owed {
		if !contains(got, u) {
			t.Fatalf("%s: %s was not restarted; ledger: %v", what, u, got)
		}
	}
	if data, err := os.ReadFile(filepath.Join(l.root(), identity.JournalFile)); err != nil || len(data) != 0 {
		t.Fatalf("%s: the journal is not empty: %v\n%s", what, err, data)
	}
}

// owed returns the restarts that the plan announces.
func (l *lab) owed(t *testing.T, to identity.Identity) []string {
	t.Helper()
	cmd := l.command(t, to, "plan")
	cmd.Args = append(cmd.Args, "--json")
	var why strings.Builder
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot plan: %v\n%s", err, why.String())
	}
	var p plan.Plan
	check(t, json.Unmarshal(out, &p))
	return plan.Restarts(p.Changes)
}

func (l *lab) ledger(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(l.dir, "ledger"))
	if os.IsNotExist(err) {
		return nil
	}
	check(t, err)
	return strings.Fields(string(data))
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
