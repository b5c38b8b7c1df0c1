//go:build integration

package killmatrix

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/effect"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// TestResidueOfAWholeMachine bakes the two big clouds under the marker identity, with a real MariaDB and a real database of
// Open vSwitch, and searches what a person would search: every file, mariadb-dump --all-databases, and the records of Open
// vSwitch. With all rewriters nothing is found. With one of them switched off, exactly its places are: so the search sees
// what it is meant to see, in files, rows, accounts and records.
func TestResidueOfAWholeMachine(t *testing.T) {
	bin := build(t)
	for _, c := range []struct {
		fixture string
		rename  bool // the golden name is a word that stands for nothing else
		off     []string
	}{
		{"openstack-debian", true, []string{"hostname", "machine-id", "hosts", "debconf", "mariadb-accounts", "keystone", "glance", "placement",
			"nova", "neutron", "cinder", "ovn", "horizon", "openrc"}},
		{"packstack-victoria", false, []string{"machine-id", "hosts", "openvswitch", "mariadb-accounts", "redis", "apache", "nova", "neutron", "cinder"}},
	} {
		t.Run(c.fixture, func(t *testing.T) {
			t.Parallel()
			f := rewritertest.Named(t, fixtures, c.fixture)
			rebake(f, c.rename)
			l := &lab{f: f, bin: bin, dir: hosttest.Dir(t)}
			l.sock, l.db = hosttest.MariaDB(t)
			to := f.Scene.To[len(f.Scene.To)-1]
			l.fresh(t, nil)
			golden := l.search(t)
			l.run(t, to, 0)
			if left := l.search(t); len(left) > 0 {
				t.Fatalf("the binary leaves %v of %d places", left, len(golden))
			}
			l.fresh(t, nil)
			changes := l.become(t, to, "")
			if left := l.search(t); len(left) > 0 {
				t.Fatalf("with all rewriters: %v", left)
			}
			rows := 0
			for _, name := range c.off {
				l.fresh(t, nil)
				l.become(t, to, name)
				want := l.placesOf(golden, changes, name)
				if d := cmp.Diff(want, l.search(t)); d != "" || len(want) == 0 {
					t.Errorf("without %s (-its %d places, +found): %s", name, len(want), d)
				}
				for _, p := range want {
					if !strings.HasPrefix(p, "/") {
						rows++
					}
				}
				t.Logf("without %-16s %2d places, as %s", name, len(want), want[:min(1, len(want))])
			}
			t.Logf("%d golden places, none left; %d found again by switching off %d rewriters in turn were rows, accounts or records", len(golden), rows, len(c.off))
		})
	}
}

// rebake gives a fixture the marker's address, MAC, machine id and, where that can be told from other words, its name.
func rebake(f *rewritertest.Fixture, rename bool) {
	m, b := identity.Marker(), &f.Scene.Baked
	words := []string{b.Address.String(), m.Address.String(), b.NICs[0].MAC, m.NICs[0].MAC, strings.ToUpper(b.NICs[0].MAC), strings.ToUpper(m.NICs[0].MAC),
		b.MachineID, m.MachineID}
	b.Address, b.MachineID, b.NICs = m.Address, m.MachineID, []identity.NIC{{Name: b.NICs[0].Name, MAC: m.NICs[0].MAC}}
	if rename {
		words = append(words, b.Hostname, m.Hostname)
		b.Hostname = m.Hostname
	}
	var as replacer
	for i := 0; i < len(words); i += 2 {
		as = append(as, word{regexp.MustCompile(`\b` + regexp.QuoteMeta(words[i]) + `\b`), words[i+1]})
	}
	for name, data := range f.Files {
		f.Files[name] = as.Replace(data)
	}
	for _, table := range f.Tables {
		for _, row := range table.Rows {
			for _, value := range row {
				if value != nil {
					*value = as.Replace(*value)
				}
			}
		}
	}
	for _, user := range f.Users {
		user["host"] = as.Replace(user["host"])
	}
	for _, records := range f.OVS {
		for _, record := range records {
			for key, value := range record {
				record[key] = as.Replace(value)
			}
		}
	}
}

// A replacer takes whole words: 10.0.0.1 is not in 10.0.0.10.
type replacer []word

type word struct {
	was *regexp.Regexp
	is  string
}

func (r replacer) Replace(s string) string {
	for _, w := range r {
		s = w.was.ReplaceAllString(s, w.is)
	}
	return s
}

// become does what the binary does, but for one rewriter, and returns what was planned.
func (l *lab) become(t *testing.T, to identity.Identity, off string) []plan.Change {
	t.Helper()
	list, err := rewriters.Select(l.f.Scene.Stacks)
	check(t, err)
	list = slices.DeleteFunc(list, func(r rewriters.Rewriter) bool { return r.Name == off })
	h, err := host.Open(l.root(), host.Options{MySQL: l.sock})
	check(t, err)
	defer h.Close()
	var all []plan.Change
	for _, phase := range []rewriters.Phase{rewriters.Local, rewriters.Stack} {
		s := rewriters.NewScene(phase, []identity.Identity{l.f.Scene.Baked, to}, l.f.Scene.Baked, to, l.f.Scene.Policy, h, rewriters.Seed("a seed of thirty-two bytes, whole"))
		s.Rekey, s.Born = true, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		p, err := rewriters.Run(context.Background(), s, list)
		check(t, err)
		batches, err := effect.Batches(p)
		check(t, err)
		book, err := os.OpenFile(filepath.Join(l.dir, "book"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
		check(t, err)
		j, err := journal.Open(book)
		check(t, err)
		for _, b := range batches {
			check(t, b.Apply(context.Background(), h, j))
		}
		check(t, j.Close())
		all = append(all, p.Changes...)
	}
	return all
}

// search returns every place with the marker in it, in any case and inside any word, for nothing else in the world is
// called so.
func (l *lab) search(t *testing.T) []string {
	t.Helper()
	var found []string
	look := func(place, text string) {
		m := identity.Marker()
		for _, word := range []string{m.Address.String(), m.NICs[0].MAC, m.MachineID, m.Hostname} {
			if strings.Contains(strings.ToLower(text), word) && !slices.Contains(found, place) {
				found = append(found, place)
			}
		}
	}
	check(t, filepath.WalkDir(l.root(), func(p string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, l.root())
		if err != nil || d.IsDir() || name == identity.ImprintFile || strings.HasPrefix(name, identity.StateDir) || strings.HasSuffix(name, "conf.db") {
			return err // the imprint and the state name the golden machine on purpose
		}
		data, err := os.ReadFile(p)
		look(name, string(data))
		return err
	}))
	for place, text := range l.dumpAll(t) {
		look(place, text)
	}
	for place, text := range l.records(t) {
		look(place, text)
	}
	slices.Sort(found)
	return found
}

// dumpAll returns every column of every row of the server, the accounts among them, as mariadb-dump writes them.
func (l *lab) dumpAll(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("mariadb-dump", "--no-defaults", "--socket="+l.sock, "--user=root", "--all-databases", "--skip-extended-insert", "--complete-insert",
		"--skip-lock-tables")
	data, err := cmd.Output()
	if err != nil {
		t.Fatalf("mariadb-dump: %v", err)
	}
	out := map[string]string{}
	schema, rows := "", 0
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "USE `"); ok {
			schema = strings.TrimSuffix(rest, "`;")
		}
		rest, ok := strings.CutPrefix(line, "INSERT INTO `")
		if !ok {
			continue
		}
		rows++
		table, rest, _ := strings.Cut(rest, "` (")
		names, rest, _ := strings.Cut(rest, ") VALUES (")
		row := map[string]string{}
		values := sqlValues(strings.TrimSuffix(rest, ");"))
		columns := strings.Split(names, ", ")
		if len(columns) != len(values) {
			t.Fatalf("%d columns and %d values: %s", len(columns), len(values), line)
		}
		for i, c := range columns {
			row[strings.Trim(c, "`")] = values[i]
		}
		for c, v := range row {
			out["db "+schema+"."+table+" "+l.keyOf(schema+"."+table, row)+" "+c] = v
		}
	}
	if rows < 50 {
		t.Fatalf("the dump has %d rows", rows)
	}
	return out
}

// keyOf names a row by its key, an account by user and host.
func (l *lab) keyOf(table string, row map[string]string) string {
	keys := []string{"User", "Host"}
	if f := l.f.Tables[table]; f != nil {
		keys = f.Key
	}
	var key []string
	for _, k := range keys {
		key = append(key, row[k])
	}
	return strings.Join(key, ",")
}

// sqlValues splits the values of an INSERT: quoted with backslashes, or bare.
func sqlValues(s string) []string {
	var out []string
	var now strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\' && i+1 < len(s):
			i++
			now.WriteByte(s[i])
		case s[i] == '\'':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			out = append(out, now.String())
			now.Reset()
		default:
			now.WriteByte(s[i])
		}
	}
	return append(out, now.String())
}

// records returns every column of every record of Open vSwitch, maps by their keys.
func (l *lab) records(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	file := filepath.Join(l.root(), "etc/openvswitch/conf.db")
	if len(l.f.OVS) == 0 {
		return out
	}
	for _, table := range []string{"Open_vSwitch", "Bridge", "Port", "Interface", "Controller", "Manager", "SSL"} {
		answer, err := exec.Command("ovsdb-tool", "query", file, fmt.Sprintf(`["Open_vSwitch",{"op":"select","table":%q,"where":[]}]`, table)).Output()
		if err != nil {
			t.Fatalf("cannot read %s: %v", file, err)
		}
		var result []struct{ Rows []map[string]any }
		check(t, json.Unmarshal(answer, &result))
		for _, row := range result[0].Rows {
			name, _ := row["name"].(string)
			if name == "" {
				name = row["_uuid"].([]any)[1].(string)
			}
			for column, value := range row {
				if list, ok := value.([]any); ok && len(list) == 2 && list[0] == "map" {
					for _, pair := range list[1].([]any) {
						p := pair.([]any)
						out[fmt.Sprintf("ovs %s %s %s:%v", table, name, column, p[0])] = fmt.Sprint(p[1])
					}
					continue
				}
				out["ovs "+table+" "+name+" "+column] = fmt.Sprint(value)
			}
		}
	}
	return out
}

// placesOf returns the golden places that one rewriter's changes are made in.
func (l *lab) placesOf(golden []string, changes []plan.Change, by string) []string {
	var out []string
	for _, place := range golden {
		if slices.ContainsFunc(changes, func(c plan.Change) bool { return c.By == by && l.touches(c, place) }) {
			out = append(out, place)
		}
	}
	return out
}

// touches tells whether a change takes the marker out of a place.
func (l *lab) touches(c plan.Change, place string) bool {
	m := identity.Marker()
	named := slices.ContainsFunc([]string{m.Address.String(), m.NICs[0].MAC, m.MachineID, m.Hostname},
		func(w string) bool { return strings.Contains(strings.ToLower(c.Was.Text), w) })
	switch {
	case c.Kind == plan.DBHost:
		user, hostname, _ := strings.Cut(c.Key, "@")
		return named && strings.HasPrefix(place, "db mysql.") && strings.Contains(place, " "+user+","+hostname+" ")
	case c.Kind == plan.OVS:
		return named && place == "ovs "+c.Where+" "+c.Key
	case c.Row == nil:
		return place == c.Where && (named || c.Want.Absent)
	case c.Row.Column == "":
		return strings.HasPrefix(place, "db "+c.Where+" "+l.keyOf(c.Where, c.Row.Match)+" ")
	}
	return named && place == "db "+c.Where+" "+l.keyOf(c.Where, c.Row.Match)+" "+c.Row.Column
}
