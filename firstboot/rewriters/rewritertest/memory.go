package rewritertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
)

// A Machine is a tree with the fixture's databases in memory: for tests that need no server. Only Apply writes.
type Machine struct {
	*host.Host
	f *Fixture
}

// NewMachine joins a tree and the fixture's databases, which it changes in place.
func NewMachine(h *host.Host, f *Fixture) *Machine { return &Machine{Host: h, f: f} }

// Schemas returns the names of the databases.
func (m *Machine) Schemas(context.Context) ([]string, error) {
	seen := map[string]bool{}
	for name := range m.f.Tables {
		schema, _, _ := strings.Cut(name, ".")
		seen[schema] = true
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// Rows returns columns of a table, all without names, in the order of the fixture. A table or column that is not there is an error, as on a
// server.
func (m *Machine) Rows(_ context.Context, schema, table string, cols ...string) ([]host.Row, error) {
	t, ok := m.f.Tables[schema+"."+table]
	if !ok {
		return nil, fmt.Errorf("%w: table %s.%s doesn't exist", host.ErrNoTable, schema, table)
	}
	var out []host.Row
	for _, r := range t.Rows {
		row := host.Row{}
		named := cols
		if len(cols) == 0 {
			named = slices.Sorted(maps.Keys(r))
		}
		for _, c := range named {
			v, ok := r[c]
			if !ok {
				return nil, fmt.Errorf("unknown column %s in %s.%s", c, schema, table)
			}
			if v != nil {
				row[c] = *v
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// DBUsers returns the fixture's accounts.
func (m *Machine) DBUsers(context.Context) ([]host.Row, error) {
	var out []host.Row
	for _, u := range m.f.Users {
		out = append(out, host.Row(u))
	}
	return out, nil
}

// OVS returns the fixture's records.
func (m *Machine) OVS(_ context.Context, table string, cols ...string) (map[string]host.Row, error) {
	recs, ok := m.f.OVS[table]
	if !ok {
		return nil, host.ErrNoOVS
	}
	out := map[string]host.Row{}
	for name, r := range recs {
		row := host.Row{}
		for k, v := range r {
			if col, _, _ := strings.Cut(k, ":"); slices.Contains(cols, col) {
				row[k] = v
			}
		}
		out[name] = row
	}
	return out, nil
}

// Apply makes one database change by the law of package effect: compare, then swap. It tells whether the change was of a
// kind that lives in memory.
func (m *Machine) Apply(c plan.Change) (bool, error) {
	switch c.Kind {
	case plan.Row:
		return true, m.applyRow(c)
	case plan.DBUser:
		for _, u := range m.f.Users {
			if u["user"]+"@"+u["host"] == c.Key {
				return true, put(u, "hash", c)
			}
		}
		return true, fmt.Errorf("no account %s", c.Key)
	case plan.DBHost:
		for _, u := range m.f.Users {
			if u["user"]+"@"+u["host"] == c.Key {
				return true, put(u, "host", c)
			}
		}
		return true, fmt.Errorf("no account %s", c.Key)
	case plan.OVS:
		record, key, _ := strings.Cut(c.Key, " ")
		r, ok := m.f.OVS[c.Where][record]
		if !ok {
			return true, fmt.Errorf("no record %s", c.Key)
		}
		return true, put(r, key, c)
	}
	return false, nil
}

func put(m map[string]string, key string, c plan.Change) error {
	now, ok := m[key]
	if ok == c.Was.Absent || now != c.Was.Text {
		return fmt.Errorf("%s holds %q, planned from %s", c.ID(), now, c.Was)
	}
	m[key] = c.Want.Text
	if c.Want.Absent {
		delete(m, key)
	}
	return nil
}

func (m *Machine) applyRow(c plan.Change) error {
	t, ok := m.f.Tables[c.Row.Schema+"."+c.Row.Table]
	if !ok {
		return fmt.Errorf("no table for %s", c.ID())
	}
	hit := -1
	for i, r := range t.Rows {
		if matches(r, c.Row.Match) {
			if hit >= 0 {
				return fmt.Errorf("%s names two rows", c.ID())
			}
			hit = i
		}
	}
	if hit < 0 {
		return fmt.Errorf("%s names no row", c.ID())
	}
	if c.Row.Column == "" {
		t.Rows = slices.Delete(t.Rows, hit, hit+1)
		return nil
	}
	now, ok := t.Rows[hit][c.Row.Column]
	if !ok || (now == nil) != c.Was.Absent || now != nil && *now != c.Was.Text {
		return fmt.Errorf("%s does not hold what was planned from", c.ID())
	}
	t.Rows[hit][c.Row.Column] = &c.Want.Text
	if c.Want.Absent {
		t.Rows[hit][c.Row.Column] = nil
	}
	return nil
}

func matches(r map[string]*string, want map[string]string) bool {
	for c, v := range want {
		if got, ok := r[c]; !ok || got == nil || *got != v {
			return false
		}
	}
	return true
}
