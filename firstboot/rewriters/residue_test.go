package rewriters_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// With all rewriters at work no trace of the baked identity stays in files, rows and Open vSwitch. With one of them switched
// off, the same search finds exactly what that one would have changed: so the search can find, and no place has two owners
// or none.
func TestResidueIsFoundWhereARewriterIsSwitchedOff(t *testing.T) {
	for _, f := range rewritertest.All(t, "testdata") {
		to := f.Scene.To[len(f.Scene.To)-1]
		t.Run(f.Name, func(t *testing.T) {
			all := newMachine(t, fixture(t, f.Name))
			golden := all.files(t)
			changes := all.become(t, to, true)
			if left := all.found(t, to); len(left) > 0 {
				t.Fatalf("with all rewriters: %v", left)
			}
			places := 0
			for _, name := range authors(changes) {
				m := newMachine(t, fixture(t, f.Name))
				m.off = name
				m.become(t, to, true)
				want := owned(f, golden, changes, name, traces(f.Scene.Baked, to))
				if d := cmp.Diff(want, m.found(t, to)); d != "" {
					t.Errorf("without %s (-its places +found): %s", name, d)
				}
				places += len(want)
			}
			if places == 0 {
				t.Error("no rewriter has a place here")
			}
			t.Logf("%d places of %d rewriters", places, len(authors(changes)))
		})
	}
}

func authors(changes []plan.Change) []string {
	var out []string
	for _, c := range changes {
		if c.Kind != "note" && c.By != "secrets" && !slices.Contains(out, c.By) {
			out = append(out, c.By)
		}
	}
	return out
}

// found searches everything for traces of the baked identity and returns where they are.
func (m *machine) found(t *testing.T, to identity.Identity) []string {
	t.Helper()
	var out []string
	for name, data := range m.files(t) {
		_, allowed := m.f.Scene.Residue[name]
		if !allowed && name != identity.ImprintFile && names(data, traces(m.f.Scene.Baked, to)) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func names(data string, traces []string) bool {
	return slices.ContainsFunc(traces, func(trace string) bool { return mentions(data, trace) })
}

// owned returns the places with a trace in them that a rewriter's changes take it out of.
func owned(f *rewritertest.Fixture, golden map[string]string, changes []plan.Change, by string, traces []string) []string {
	var out []string
	for _, c := range changes {
		if c.By != by || c.Was.Absent && c.Row == nil {
			continue
		}
		for _, place := range placesOf(f, golden, c) {
			if _, allowed := f.Scene.Residue[place]; names(was(golden, c, place), traces) && !allowed && !slices.Contains(out, place) {
				out = append(out, place)
			}
		}
	}
	slices.Sort(out)
	return out
}

// was is what a change takes away: the value, or, of a row that goes, one of its columns.
func was(golden map[string]string, c plan.Change, place string) string {
	if c.Row != nil && c.Row.Column == "" {
		return golden[place]
	}
	return c.Was.Text + certificateNames([]byte(c.Was.Text))
}

// placesOf names a change's places as the search does: a row that goes has several.
func placesOf(f *rewritertest.Fixture, golden map[string]string, c plan.Change) []string {
	switch {
	case c.Kind == plan.DBHost:
		return []string{"db mysql.user " + c.Key}
	case c.Kind == plan.OVS:
		return []string{"ovs " + c.Where + " " + c.Key}
	case c.Row == nil:
		return []string{c.Where}
	}
	var key []string
	for _, k := range f.Tables[c.Where].Key {
		key = append(key, c.Row.Match[k])
	}
	row := "db " + c.Where + " " + strings.Join(key, ",") + " "
	if c.Row.Column != "" {
		return []string{row + c.Row.Column}
	}
	var out []string
	for name := range golden {
		if strings.HasPrefix(name, row) {
			out = append(out, name)
		}
	}
	return out
}

// without returns the list but for one.
func without(list []rewriters.Rewriter, name string) []rewriters.Rewriter {
	return slices.DeleteFunc(list, func(r rewriters.Rewriter) bool { return r.Name == name })
}
