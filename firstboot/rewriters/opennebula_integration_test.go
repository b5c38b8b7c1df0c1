//go:build integration

package rewriters_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/effect"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

const oneDB = "/var/lib/one/one.db"

// sqliteMachine is the recorded front-end with its state in an SQLite file.
func sqliteMachine(t *testing.T) (f *rewritertest.Fixture, h *host.Host, dir string) {
	t.Helper()
	dir = t.TempDir()
	f, _ = rewritertest.FrontEndOnSQLite(t, "testdata")
	f.Tree(t, dir)
	rewritertest.MakeSQLite(t, f, dir)
	check(t, os.Chown(dir+oneDB, 9869, 9869))
	h, err := host.Open(dir, host.Options{})
	check(t, err)
	t.Cleanup(func() { h.Close() })
	return f, h, dir
}

// becomeOnSQLite plans and applies both phases and returns how many changes there were.
func becomeOnSQLite(t *testing.T, h *host.Host, f *rewritertest.Fixture, seed rewriters.Seed, to identity.Identity) int {
	t.Helper()
	list, err := rewriters.Select(f.Scene.Stacks)
	check(t, err)
	n := 0
	for _, ph := range []rewriters.Phase{rewriters.Local, rewriters.Stack} {
		s := rewriters.NewScene(ph, rewriters.Old{f.Scene.Baked, to}, f.Scene.Baked, to, f.Scene.Policy, h, seed)
		s.Rekey = true
		p, err := rewriters.Run(context.Background(), s, list)
		check(t, err)
		check(t, applyAll(t, h, p.Changes))
		n += len(p.Changes)
	}
	return n
}

func applyAll(t *testing.T, h *host.Host, changes []plan.Change) error {
	t.Helper()
	batches, err := effect.Batches(&plan.Plan{Changes: changes})
	check(t, err)
	jf, err := os.OpenFile(filepath.Join(t.TempDir(), "journal"), os.O_RDWR|os.O_CREATE, 0o600)
	check(t, err)
	j, err := journal.Open(jf)
	check(t, err)
	defer j.Close()
	for _, b := range batches {
		if err := b.Apply(context.Background(), h, j); err != nil {
			return err
		}
	}
	return nil
}

func treeFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	check(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		out[strings.TrimPrefix(p, dir)] = string(data)
		return err
	}))
	return out
}

func TestTwoFrontEndsOnSQLite(t *testing.T) {
	var facts [2]map[string][]string
	for i, c := range twins {
		f, h, dir := sqliteMachine(t)
		becomeOnSQLite(t, h, f, c.seed, c.to)
		facts[i] = oneFacts(t, treeFiles(t, dir), h, oneDB)
		if n := becomeOnSQLite(t, h, f, c.seed, c.to); n > 0 {
			t.Errorf("a second plan has %d changes", n)
		}
		if got := rewritertest.SQLite(t, dir+oneDB, "PRAGMA integrity_check;"); got != "ok\n" {
			t.Errorf("integrity check: %s", got)
		}
		for _, needle := range []string{"clone-017", "192.0.2.17", "AAAAB3NzaGolden"} {
			if dump := rewritertest.SQLite(t, dir+oneDB, ".dump"); mentions(dump, needle) {
				t.Errorf("the database still names %s", needle)
			}
		}
		st, err := os.Stat(dir + oneDB)
		check(t, err)
		if st.Mode() != 0o600 {
			t.Errorf("the database is now %v", st.Mode())
		}
		if left, _ := filepath.Glob(dir + oneDB + "?*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	disjoint(t, facts)
}

// A batch on an SQLite file is all or nothing, and compares before it writes.
func TestSQLiteBatch(t *testing.T) {
	_, h, dir := sqliteMachine(t)
	row := func(oid, was, want string) plan.Change {
		return plan.Change{Kind: plan.Row, Where: oneDB + ".host_pool", Key: "oid=" + oid, Was: plan.Text(was), Want: plan.Text(want),
			Row: &plan.Target{Schema: oneDB, Table: "host_pool", Match: map[string]string{"oid": oid}, Column: "name"}}
	}
	name := func() string {
		return strings.TrimSpace(rewritertest.SQLite(t, dir+oneDB, "SELECT name FROM host_pool WHERE oid=0;"))
	}
	err := applyAll(t, h, []plan.Change{row("0", "clone-017", "new"), row("7", "x", "y")})
	if !errors.Is(err, effect.ErrMoved) || name() != "clone-017" {
		t.Errorf("a row that is not there: %v, the other is now %s", err, name())
	}
	if err := applyAll(t, h, []plan.Change{row("0", "other", "new")}); !errors.Is(err, effect.ErrMoved) || name() != "clone-017" {
		t.Errorf("a row that moved: %v, now %s", err, name())
	}
	release := hold(t, dir)
	if err := applyAll(t, h, []plan.Change{row("0", "clone-017", "new")}); err == nil || !strings.Contains(err.Error(), "locked") {
		t.Errorf("a database that oned holds: %v", err)
	}
	release()
	for range 2 {
		if err := applyAll(t, h, []plan.Change{row("0", "clone-017", "it's \"new\"\n")}); err != nil || name() != "it's \"new\"" {
			t.Errorf("%v, now %s", err, name())
		}
	}
	_, err = h.Rows(t.Context(), oneDB, "nothing")
	_, err2 := h.Rows(t.Context(), "/var/lib/one/other.db", "host_pool")
	if err == nil || !errors.Is(err2, os.ErrNotExist) {
		t.Errorf("missing table: %v, missing file: %v", err, err2)
	}
	if _, err := os.Stat(dir + "/var/lib/one/other.db"); err == nil {
		t.Error("reading made a file")
	}
}

// hold takes the database's exclusive lock, as a second writer would, until release is called.
func hold(t *testing.T, dir string) (release func()) {
	t.Helper()
	cmd := exec.Command("sqlite3", "-batch", dir+oneDB)
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	_, err = in.Write([]byte("BEGIN EXCLUSIVE;\nSELECT 'held';\n"))
	check(t, err)
	_, err = out.Read(make([]byte, 8))
	check(t, err)
	return func() {
		check(t, in.Close())
		check(t, cmd.Wait())
	}
}
