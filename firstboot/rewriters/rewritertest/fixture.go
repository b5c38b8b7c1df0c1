// Package rewritertest loads the fixtures of rewriters: a machine as an installer leaves it, as one txtar file, and the
// identities that clones of it take. The shared suite, the kill matrix and the residue search all run on them.
//
// A fixture's sections:
//
//	scene.json            stacks, policy, the baked identity, and the identities to become, in order
//	root/PATH             a file of the machine
//	meta.json             {"PATH": {"mode": 416, "owner": "keystone"}}, where it matters
//	db/SCHEMA.TABLE.json  {"key": ["id"], "rows": [{"id": "1", "url": null}]}
//	db//PATH.TABLE.json   the same in an SQLite file, of which root/PATH is there and empty
//	db/postgresql:DATABASE.TABLE.json  the same in PostgreSQL, where columns have types
//	db/users.json         [{"user": "nova", "host": "%", "hash": "*..."}]
//	ovs/TABLE.json        {"br-ex": {"other_config:hwaddr": "52:..."}}
//	plan/N                what the plan for the N-th identity must be; go test -update writes it
package rewritertest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
)

// A Scene is the first section of a fixture.
type Scene struct {
	Stacks []string            `json:"stacks"`
	Policy identity.Policy     `json:"policy"`
	Baked  identity.Identity   `json:"baked"`
	To     []identity.Identity `json:"to"`
	// Residue names files in which the baked identity may stay, with the reason.
	Residue map[string]string `json:"residue"`
	// Cuts is how many points of each road are cut in make test, where every run is dear; make proof cuts at all of them.
	Cuts int `json:"cuts"`
}

// A Table is the content of one database table.
type Table struct {
	Key  []string             `json:"key"`
	Rows []map[string]*string `json:"rows"`
	// Columns names those that no row has.
	Columns []string `json:"columns,omitempty"`
	// Types are those of columns that are no text (PostgreSQL).
	Types map[string]string `json:"types,omitempty"`
}

// A Fixture is one machine.
type Fixture struct {
	Name   string
	Path   string // the txtar file
	Scene  Scene
	Files  map[string]string
	Meta   map[string]plan.Meta
	Tables map[string]*Table // by "schema.table"
	Users  []map[string]string
	OVS    map[string]map[string]map[string]string // table, record, column:key
	Plans  map[int]string
}

// All loads every fixture of a directory.
func All(t testing.TB, dir string) []*Fixture {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures in %s: %v", dir, err)
	}
	var list []*Fixture
	for _, p := range paths {
		f, err := load(p)
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		list = append(list, f)
	}
	return list
}

func load(path string) (*Fixture, error) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		return nil, err
	}
	f := &Fixture{Name: strings.TrimSuffix(filepath.Base(path), ".txtar"), Path: path, Files: map[string]string{},
		Meta: map[string]plan.Meta{}, Tables: map[string]*Table{}, OVS: map[string]map[string]map[string]string{}, Plans: map[int]string{}}
	for _, s := range a.Files {
		if err := f.section(s.Name, s.Data); err != nil {
			return nil, fmt.Errorf("section %s: %w", s.Name, err)
		}
	}
	if len(f.Scene.To) == 0 {
		return nil, fmt.Errorf("no identity to become")
	}
	return f, nil
}

func (f *Fixture) section(name string, data []byte) error {
	dir, rest, _ := strings.Cut(name, "/")
	switch {
	case name == "scene.json":
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.DisallowUnknownFields()
		return d.Decode(&f.Scene)
	case name == "meta.json":
		return json.Unmarshal(data, &f.Meta)
	case name == "db/users.json":
		return json.Unmarshal(data, &f.Users)
	case dir == "root":
		f.Files["/"+rest] = string(data)
	case dir == "db":
		table := &Table{}
		f.Tables[strings.TrimSuffix(rest, ".json")] = table
		return json.Unmarshal(data, table)
	case dir == "ovs":
		recs := map[string]map[string]string{}
		f.OVS[strings.TrimSuffix(rest, ".json")] = recs
		return json.Unmarshal(data, &recs)
	case dir == "plan":
		var n int
		if _, err := fmt.Sscan(rest, &n); err != nil {
			return err
		}
		f.Plans[n] = string(data)
	default:
		return fmt.Errorf("unknown section")
	}
	return nil
}

// Tree writes the machine's files below dir, with an imprint.
func (f *Fixture) Tree(t testing.TB, dir string) {
	t.Helper()
	imp, err := json.Marshal(identity.Imprint{Format: identity.ImprintFormat, Image: f.Name, Baked: f.Scene.Baked,
		Stacks: f.Scene.Stacks, Policy: f.Scene.Policy})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{identity.ImprintFile: string(imp)}
	for p, data := range f.Files {
		files[p] = data
	}
	if _, ok := files["/etc/passwd"]; !ok {
		files["/etc/passwd"], files["/etc/group"] = accounts, groups
	}
	for p, data := range files {
		mode := fs.FileMode(0o644)
		if m, ok := f.Meta[p]; ok {
			mode = fs.FileMode(m.Mode)
		}
		full := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(full, mode); err != nil {
			t.Fatal(err)
		}
	}
}

// The users that stacks give their files to.
const (
	accounts = "root:x:0:0::/root:/bin/sh\nkeystone:x:64061:64061::/:/bin/false\nrabbitmq:x:101:103::/:/bin/false\n" +
		"nova:x:64060:64060::/:/bin/false\nneutron:x:64063:64063::/:/bin/false\nhorizon:x:64062:64062::/:/bin/false\n" +
		"apache:x:48:48::/:/bin/false\noneadmin:x:9869:9869::/:/bin/bash\nwww-data:x:33:33::/:/bin/false\nlibvirt-qemu:x:64055:64055::/:/bin/false\novirt:x:108:108::/:/bin/false\n"
	groups = "root:x:0:\nkeystone:x:64061:\nrabbitmq:x:103:\nnova:x:64060:\nneutron:x:64063:\nhorizon:x:64062:\n" +
		"apache:x:48:\noneadmin:x:9869:\nwww-data:x:33:\nlibvirt-qemu:x:64055:\novirt:x:108:\n"
)

// SQL returns a script that makes the fixture's schemas and rows on a real server.
func (f *Fixture) SQL() string {
	var b strings.Builder
	made := map[string]bool{}
	for name, table := range f.Tables {
		if !onMariaDB(name) {
			continue
		}
		schema, short, _ := strings.Cut(name, ".")
		if !made[schema] {
			fmt.Fprintf(&b, "CREATE DATABASE `%s`;\n", schema)
			made[schema] = true
		}
		fmt.Fprintf(&b, "CREATE TABLE `%s`.`%s` (%s, PRIMARY KEY (%s)) ENGINE=InnoDB;\n", schema, short,
			columns(table), "`"+strings.Join(table.Key, "`,`")+"`")
	}
	for _, u := range f.Users {
		fmt.Fprintf(&b, "CREATE USER IF NOT EXISTS %s@%s;\n", quote(u["user"]), quote(u["host"]))
	}
	return b.String() + f.Refill()
}

// onMariaDB tells where a table lives that is neither in an SQLite file nor in PostgreSQL.
func onMariaDB(name string) bool { return !host.IsSQLite(name) && !host.IsPostgres(name) }

// MariaDB tells whether the fixture has tables or accounts there.
func (f *Fixture) MariaDB() bool {
	return len(f.Users) > 0 || slices.ContainsFunc(slices.Collect(maps.Keys(f.Tables)), onMariaDB)
}

// Refill returns a script that gives the tables and accounts that SQL made their first content again. It takes a tenth of the
// time: making a table is dear.
func (f *Fixture) Refill() string {
	var b strings.Builder
	b.WriteString("BEGIN;\n")
	for name, table := range f.Tables {
		if !onMariaDB(name) {
			continue
		}
		fmt.Fprintf(&b, "DELETE FROM `%s`;\n", strings.Replace(name, ".", "`.`", 1))
		for _, r := range table.Rows {
			b.WriteString(insert(name, r))
		}
	}
	b.WriteString("COMMIT;\n")
	for _, u := range f.Users {
		b.WriteString(f.rebind(u["user"], u["host"]))
		fmt.Fprintf(&b, "SET PASSWORD FOR %s@%s = %s;\n", quote(u["user"]), quote(u["host"]), quote(u["hash"]))
	}
	return b.String()
}

// rebind gives an account that is bound to the machine its first host again, whatever that became.
func (f *Fixture) rebind(user, host string) string {
	if host != f.Scene.Baked.Address.String() && host != f.Scene.Baked.Hostname {
		return ""
	}
	var b strings.Builder
	for _, id := range f.Scene.To {
		for _, h := range []string{id.Address.String(), id.Hostname} {
			if h != host {
				fmt.Fprintf(&b, "DROP USER IF EXISTS %s@%s;\n", quote(user), quote(h))
			}
		}
	}
	return b.String() + fmt.Sprintf("CREATE USER IF NOT EXISTS %s@%s;\n", quote(user), quote(host))
}

func columns(t *Table) string {
	seen := map[string]bool{}
	var defs []string
	for _, k := range t.Key {
		seen[k] = true
		defs = append(defs, "`"+k+"` varchar(190) NOT NULL")
	}
	for _, r := range t.Rows {
		for _, c := range slices.Sorted(maps.Keys(r)) {
			if !seen[c] {
				seen[c] = true
				defs = append(defs, "`"+c+"` text")
			}
		}
	}
	for _, c := range t.Columns {
		if !seen[c] {
			defs = append(defs, "`"+c+"` text")
		}
	}
	return strings.Join(defs, ", ")
}

func insert(table string, r map[string]*string) string {
	var cols, vals []string
	for c, v := range r {
		cols = append(cols, "`"+c+"`")
		if v == nil {
			vals = append(vals, "NULL")
		} else {
			vals = append(vals, quote(*v))
		}
	}
	return "INSERT INTO `" + strings.Replace(table, ".", "`.`", 1) + "` (" + strings.Join(cols, ",") + ") VALUES (" + strings.Join(vals, ",") + ");\n"
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
