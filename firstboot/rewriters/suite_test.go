package rewriters_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"goldsmith/firstboot/effect"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

var update = flag.Bool("update", false, "write the golden plans")

// TestFixtures takes every fixture through all its identities and back: the plan is the golden one, a second plan is
// empty, only planned places change, no trace of the baked identity stays, and the first identity taken again gives the
// same bytes as the first time.
func TestFixtures(t *testing.T) {
	for _, f := range rewritertest.All(t, "testdata") {
		t.Run(f.Name, func(t *testing.T) { walkFixture(t, f) })
	}
}

type machine struct {
	*rewritertest.Machine
	f       *rewritertest.Fixture
	dir     string
	old     rewriters.Old
	seed    rewriters.Seed
	off     string // a rewriter that is not asked
	cluster rewriters.Seed
	// begun are seeds of lives that were cut
	begun []rewriters.Seed
}

func newMachine(t *testing.T, f *rewritertest.Fixture) *machine {
	t.Helper()
	dir := hosttest.Dir(t)
	f.Tree(t, dir)
	h, err := host.Open(dir, host.Options{})
	check(t, err)
	t.Cleanup(func() { h.Close() })
	return &machine{Machine: rewritertest.NewMachine(h, f), f: f, dir: dir, old: rewriters.Old{f.Scene.Baked},
		seed: rewriters.Seed("0123456789abcdef0123456789abcdef")}
}

func walkFixture(t *testing.T, f *rewritertest.Fixture) {
	m := newMachine(t, f)
	var first map[string]string
	for i, to := range append(f.Scene.To, f.Scene.To[0]) {
		before := m.files(t)
		changes := m.become(t, to, i == 0)
		after := m.files(t)
		onlyPlanned(t, before, after, changes)
		if i < len(f.Scene.To) {
			m.golden(t, i, changes)
		}
		if again := m.become(t, to, i == 0); len(again) > 0 {
			t.Errorf("identity %d: a second plan is not empty:\n%s", i, render(again))
		}
		m.residue(t, after, to)
		if i == 0 {
			first = after
		}
		if i == len(f.Scene.To) {
			if d := cmp.Diff(first, after); d != "" {
				t.Errorf("back to the first identity is not the same: %s", d)
			}
		}
	}
}

// become plans and applies both phases and returns what was planned.
func (m *machine) become(t *testing.T, to identity.Identity, rekey bool) []plan.Change {
	t.Helper()
	list, err := rewriters.Select(m.f.Scene.Stacks)
	check(t, err)
	list = without(list, m.off)
	m.old = append(m.old, to)
	var all []plan.Change
	for _, ph := range []rewriters.Phase{rewriters.Local, rewriters.Stack} {
		s := rewriters.NewScene(ph, m.old, m.f.Scene.Baked, to, m.f.Scene.Policy, m, m.seed)
		s.Cluster = m.cluster
		s.Rekey, s.Begun, s.Born = rekey, m.begun, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		p, err := rewriters.Run(context.Background(), s, list)
		check(t, err)
		m.apply(t, p)
		all = append(all, p.Changes...)
		for _, n := range p.Notes {
			all = append(all, plan.Change{By: n.By, Kind: "note", Where: n.What, Want: plan.Text(n.Why)})
		}
	}
	return onlyChanges(all, rekey)
}

// onlyChanges drops the notes from all but the first plan: they stay true when there is nothing left to change.
func onlyChanges(all []plan.Change, notes bool) []plan.Change {
	var out []plan.Change
	for _, c := range all {
		if c.Kind != "note" || notes && len(out) > 0 {
			out = append(out, c)
		}
	}
	return out
}

func (m *machine) apply(t *testing.T, p *plan.Plan) {
	t.Helper()
	var files plan.Plan
	for _, c := range p.Changes {
		done, err := m.Apply(c)
		check(t, err)
		if !done {
			files.Changes = append(files.Changes, c)
		}
	}
	batches, err := effect.Batches(&files)
	check(t, err)
	jf, err := os.OpenFile(filepath.Join(hosttest.Dir(t), "journal"), os.O_RDWR|os.O_CREATE, 0o600)
	check(t, err)
	j, err := journal.Open(jf)
	check(t, err)
	for _, b := range batches {
		check(t, b.Apply(context.Background(), m.Host, j))
	}
	check(t, j.Close())
}

// files returns every file of the tree and every table, with mode and owner.
func (m *machine) files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	check(t, filepath.WalkDir(m.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p, m.dir)
		data, err := os.ReadFile(p)
		out[name] = fmt.Sprintf("%v\n%s%s", info.Mode(), data, certificateNames(data))
		return err
	}))
	for name, table := range m.f.Tables {
		for _, r := range table.Rows {
			for c, v := range r {
				if v != nil {
					var key []string
					for _, k := range table.Key {
						if r[k] != nil {
							key = append(key, *r[k])
						}
					}
					out["db "+name+" "+strings.Join(key, ",")+" "+c] = *v
				}
			}
		}
	}
	for _, u := range m.f.Users {
		out["db mysql.user "+u["user"]+"@"+u["host"]] = u["host"]
	}
	for table, recs := range m.f.OVS {
		for name, r := range recs {
			for k, v := range r {
				out["ovs "+table+" "+name+" "+k] = v
			}
		}
	}
	return out
}

func onlyPlanned(t *testing.T, before, after map[string]string, changes []plan.Change) {
	t.Helper()
	planned := map[string]bool{}
	for _, c := range changes {
		planned[c.Where] = true
	}
	for name, data := range after {
		if strings.HasPrefix(name, "/") && before[name] != data && !planned[name] {
			t.Errorf("%s changed, but no change names it", name)
		}
	}
	for name := range before {
		if _, ok := after[name]; strings.HasPrefix(name, "/") && !ok && !planned[name] {
			t.Errorf("%s went away, but no change names it", name)
		}
	}
}

// residue searches files and rows for what the baked identity has and to has not.
func (m *machine) residue(t *testing.T, files map[string]string, to identity.Identity) {
	t.Helper()
	needles := traces(m.f.Scene.Baked, to)
	for name, data := range files {
		if _, ok := m.f.Scene.Residue[name]; ok || name == identity.ImprintFile {
			continue
		}
		for _, n := range needles {
			if mentions(data, n) {
				t.Errorf("%s still names %s", name, n)
			}
		}
	}
}

func traces(baked, to identity.Identity) []string {
	var out []string
	if baked.Address.IsValid() && !baked.Address.IsLoopback() && baked.Address != to.Address {
		out = append(out, baked.Address.String())
	}
	for _, n := range baked.NICs {
		if n.MAC != to.MAC(n.Name) {
			out = append(out, n.MAC)
		}
	}
	if baked.MachineID != "" && baked.MachineID != to.MachineID {
		out = append(out, baked.MachineID)
	}
	if to.Hostname != "" && baked.Hostname != to.Hostname {
		out = append(out, baked.Hostname)
	}
	return out
}

// mentions finds needle where no letter, digit or hyphen touches it.
func mentions(data, needle string) bool {
	data, needle = strings.ToLower(data), strings.ToLower(needle)
	for i := 0; ; {
		at := strings.Index(data[i:], needle)
		if at < 0 {
			return false
		}
		at += i
		if edge(data, at-1) && edge(data, at+len(needle)) {
			return true
		}
		i = at + 1
	}
}

func edge(s string, i int) bool {
	return i < 0 || i >= len(s) || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-", rune(s[i]))
}

func render(changes []plan.Change) string {
	var b strings.Builder
	for _, c := range changes {
		m := c.Masked()
		fmt.Fprintf(&b, "%s %s: %s -> %s", c.By, c.ID(), oneLine(m.Was), oneLine(m.Want))
		if len(c.Restart) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(c.Restart, " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func oneLine(v plan.Value) string { return strings.ReplaceAll(v.String(), "\n", `\n`) }

// golden compares the plan with the fixture's, or writes it there.
func (m *machine) golden(t *testing.T, n int, changes []plan.Change) {
	t.Helper()
	got := render(changes)
	if !*update {
		if d := cmp.Diff(m.f.Plans[n], got); d != "" {
			t.Errorf("identity %d: the plan is not the golden one (go test -update writes it): %s", n, d)
		}
		return
	}
	a, err := txtar.ParseFile(m.f.Path)
	check(t, err)
	name := fmt.Sprintf("plan/%d", n)
	var kept []txtar.File
	for _, s := range a.Files {
		if s.Name != name {
			kept = append(kept, s)
		}
	}
	a.Files = append(kept, txtar.File{Name: name, Data: []byte(got)})
	check(t, os.WriteFile(m.f.Path, txtar.Format(a), 0o644))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
