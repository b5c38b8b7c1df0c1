package rewritertest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host"
)

// SQLiteTable splits the name of a table whose schema is the path of an SQLite file. It is false for any other.
func SQLiteTable(name string) (file, table string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if !host.IsSQLite(name) || i < 0 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// MakeSQLite makes the fixture's SQLite files below dir, in place of the empty ones that Tree writes.
func MakeSQLite(t testing.TB, f *Fixture, dir string) {
	t.Helper()
	scripts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Tables)) {
		if file, table, ok := SQLiteTable(name); ok {
			scripts[file] += sqliteScript(table, f.Tables[name])
		}
	}
	for file, script := range scripts {
		full := filepath.Join(dir, file)
		if err := os.Truncate(full, 0); err != nil {
			t.Fatal(err)
		}
		SQLite(t, full, script)
	}
}

// SQLite runs a script on a file and returns what it prints.
func SQLite(t testing.TB, file, script string) string {
	t.Helper()
	cmd := exec.Command("sqlite3", "-batch", "-bail", file)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sqlite3: %v\n%s\nhint: make setup installs it", err, out)
	}
	return string(out)
}

// sqliteScript makes one table. Key columns are numbers, as in every database that a stack keeps so.
func sqliteScript(name string, table *Table) string {
	var b strings.Builder
	cols := slices.Sorted(maps.Keys(table.Rows[0]))
	fmt.Fprintf(&b, "CREATE TABLE %s (%s, PRIMARY KEY (%s));\n", name, strings.Join(cols, ","), strings.Join(table.Key, ","))
	for _, r := range table.Rows {
		var vals []string
		for _, c := range cols {
			switch {
			case r[c] == nil:
				vals = append(vals, "NULL")
			case slices.Contains(table.Key, c):
				vals = append(vals, *r[c])
			default:
				vals = append(vals, host.SQLiteText(*r[c]))
			}
		}
		fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", name, strings.Join(vals, ","))
	}
	return b.String()
}
