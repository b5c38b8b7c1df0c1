package rewritertest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/hosttest"
)

// Postgres tells whether the fixture has tables in databases of PostgreSQL.
func (f *Fixture) Postgres() bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(f.Tables)), host.IsPostgres)
}

// MakePostgres makes the fixture's databases, or gives those that it made before their first content again.
func MakePostgres(t testing.TB, f *Fixture, socket string, made bool) {
	t.Helper()
	scripts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Tables)) {
		if !host.IsPostgres(name) {
			continue
		}
		schema, table, _ := strings.Cut(name, ".")
		database := strings.TrimPrefix(schema, host.PostgresSchema(""))
		scripts[database] += postgresScript(table, f.Tables[name], made)
	}
	for database, script := range scripts {
		if !made {
			hosttest.PSQL(t, socket, "postgres", `DROP DATABASE IF EXISTS "`+database+`"; CREATE DATABASE "`+database+`";`)
		}
		hosttest.PSQL(t, socket, database, "BEGIN;\n"+script+"COMMIT;\n")
	}
}

// DumpPostgres returns the content of one table, whatever the order of its rows.
func DumpPostgres(t testing.TB, name, socket string) string {
	t.Helper()
	schema, table, _ := strings.Cut(name, ".")
	rows := strings.Split(hosttest.PSQL(t, socket, strings.TrimPrefix(schema, host.PostgresSchema("")), "SELECT t::text FROM "+table+" t;"), "\n")
	slices.Sort(rows)
	return strings.Join(rows, "\n")
}

// system tables are there already: rows of them are set and not made.
func system(table string) bool { return strings.HasPrefix(table, "pg_") }

func postgresScript(name string, table *Table, made bool) string {
	var b strings.Builder
	if system(name) {
		return roles(table)
	}
	cols := slices.Sorted(maps.Keys(table.Rows[0]))
	if made {
		fmt.Fprintf(&b, "DELETE FROM %s;\n", name)
	} else {
		var defs []string
		for _, c := range cols {
			defs = append(defs, c+" "+cmp.Or(table.Types[c], "text"))
		}
		if len(table.Key) > 0 {
			defs = append(defs, "PRIMARY KEY ("+strings.Join(table.Key, ",")+")")
		}
		fmt.Fprintf(&b, "CREATE TABLE %s (%s);\n", name, strings.Join(defs, ", "))
	}
	for _, r := range table.Rows {
		var vals []string
		for _, c := range cols {
			if r[c] == nil {
				vals = append(vals, "NULL")
				continue
			}
			vals = append(vals, "'"+strings.ReplaceAll(*r[c], "'", "''")+"'")
		}
		fmt.Fprintf(&b, "INSERT INTO %s VALUES (%s);\n", name, strings.Join(vals, ","))
	}
	return b.String()
}

// roles makes the rows of pg_authid: the server's accounts.
func roles(table *Table) string {
	var b strings.Builder
	for _, r := range table.Rows {
		name := *r["rolname"]
		fmt.Fprintf(&b, "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname='%s') THEN CREATE ROLE %s LOGIN; END IF; END $$;\nALTER ROLE %s PASSWORD '%s';\n",
			name, name, name, *r["rolpassword"])
	}
	return b.String()
}
