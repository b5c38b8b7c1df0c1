package rewritertest

import (
	"strings"
	"testing"
)

// oneDB is where oned keeps its database without a server.
const oneDB = "/var/lib/one/one.db"

// FrontEndOnSQLite returns the OpenNebula front-end that was recorded on MariaDB with the same rows in an SQLite file, and that
// file. dir is where the fixtures are.
func FrontEndOnSQLite(t testing.TB, dir string) (f *Fixture, file string) {
	t.Helper()
	f = Named(t, dir, "opennebula-mariadb")
	const conf = "/etc/one/oned.conf"
	before, rest, _ := strings.Cut(f.Files[conf], "DB = [")
	_, after, _ := strings.Cut(rest, "]")
	f.Files[conf] = before + `DB = [ BACKEND = "sqlite", TIMEOUT = 2500 ]` + after
	f.Files[oneDB] = ""
	f.Meta[oneDB] = f.Meta["/var/lib/one/.one/one_auth"]
	tables := map[string]*Table{}
	for name, table := range f.Tables {
		tables[strings.Replace(name, "opennebula", oneDB, 1)] = table
	}
	f.Name, f.Tables, f.Users = "opennebula-mariadb-on-sqlite", tables, nil
	return f, oneDB
}

// Named loads one fixture.
func Named(t testing.TB, dir, name string) *Fixture {
	t.Helper()
	for _, f := range All(t, dir) {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no fixture %s in %s", name, dir)
	return nil
}
