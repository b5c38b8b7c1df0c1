//go:build integration

package effect

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/hosttest"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

func open(t *testing.T, opt host.Options) (*host.Host, *journal.Journal, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := host.Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	f, err := h.OpenFile("/journal", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	return h, j, dir
}

func apply(t *testing.T, h *host.Host, j *journal.Journal, changes ...plan.Change) error {
	t.Helper()
	batches, err := Batches(&plan.Plan{Changes: changes})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := b.Apply(context.Background(), h, j); err != nil {
			return err
		}
	}
	return nil
}

func rowChange(id, was, want string) plan.Change {
	return plan.Change{Kind: plan.Row, Was: plan.Text(was), Want: plan.Text(want),
		Row: &plan.Target{Schema: "ks", Table: "endpoint", Match: map[string]string{"id": id}, Column: "url"}}
}

const endpoints = `CREATE DATABASE ks; CREATE TABLE ks.endpoint (id varchar(64) PRIMARY KEY, url text) ENGINE=InnoDB;
	INSERT INTO ks.endpoint VALUES ('a','http://10.0.0.1:5000'),('b','http://10.0.0.1/x'),('c',NULL);`

func TestRowsOfOneSchemaChangeTogetherOrNotAtAll(t *testing.T) {
	sock, db := hosttest.MariaDB(t)
	hosttest.Load(t, db, endpoints)
	h, j, _ := open(t, host.Options{MySQL: sock})
	url := func(id string) (s string) {
		t.Helper()
		if err := db.QueryRow("SELECT COALESCE(url,'NULL') FROM ks.endpoint WHERE id=?", id).Scan(&s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := rowChange("a", "http://10.0.0.1:5000", "http://10.0.0.10:5000"), rowChange("b", "http://10.0.0.1/x", "http://10.0.0.10/x")

	err := apply(t, h, j, a, rowChange("b", "something else", "y"))
	if !errors.Is(err, ErrMoved) || url("a") != "http://10.0.0.1:5000" {
		t.Fatalf("a moved row: error %v, first row is %s", err, url("a"))
	}
	for range 2 { // the second time everything is there already
		if err := apply(t, h, j, a, b); err != nil {
			t.Fatal(err)
		}
	}
	if url("a") != "http://10.0.0.10:5000" || url("b") != "http://10.0.0.10/x" {
		t.Errorf("rows are %s %s", url("a"), url("b"))
	}
	gone := rowChange("c", "", "")
	gone.Was, gone.Want = plan.Gone, plan.Text("set")
	if err := apply(t, h, j, gone); err != nil || url("c") != "set" {
		t.Errorf("NULL: %v %s", err, url("c"))
	}
	if err := apply(t, h, j, rowChange("none", "x", "y")); !errors.Is(err, ErrMoved) {
		t.Errorf("a missing row: %v", err)
	}
	remove := plan.Change{Kind: plan.Row, Want: plan.Gone, Row: &plan.Target{Schema: "ks", Table: "endpoint", Match: map[string]string{"id": "c"}}}
	for range 2 {
		if err := apply(t, h, j, remove); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDatabaseGone(t *testing.T) {
	h, j, _ := open(t, host.Options{MySQL: "/nonexistent/socket"})
	err := apply(t, h, j, rowChange("a", "x", "y"))
	if !errors.Is(err, host.ErrNoDatabase) {
		t.Errorf("error %v", err)
	}
}

func TestPasswordOfAnAccount(t *testing.T) {
	sock, db := hosttest.MariaDB(t)
	hosttest.Load(t, db, "CREATE USER 'nova'@'%' IDENTIFIED BY 'old'; CREATE USER 'no''va'@'localhost' IDENTIFIED BY 'old'")
	h, j, _ := open(t, host.Options{MySQL: sock})
	const oldHash, newHash = "*1F8A7D5E1E3C1E0B8B0B4E4B6D4F8C1B0C0E5D0E", "*0D3CED9BEC10A777AEC23CCC353A8C08A633045E"
	var hash string
	if err := db.QueryRow("SELECT authentication_string FROM mysql.user WHERE user='nova'").Scan(&hash); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"nova@%", "no'va@localhost"} {
		c := plan.Change{Kind: plan.DBUser, Where: "mysql.user", Key: key, Was: plan.Text(hash), Want: plan.Text(newHash)}
		for range 2 {
			if err := apply(t, h, j, c); err != nil {
				t.Fatal(err)
			}
		}
		c.Was, c.Want, c.Secret = plan.Text(oldHash), plan.Text(hash), true
		err := apply(t, h, j, c)
		if !errors.Is(err, ErrMoved) || strings.Contains(err.Error(), newHash) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestOVSByCompareAndSwap(t *testing.T) {
	sock, file, vsctl := hosttest.OVS(t)
	vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "other-config:hwaddr=52:54:00:00:00:01", "other-config:x=y")
	h, j, dir := open(t, host.Options{OVSDB: sock})
	c := plan.Change{Kind: plan.OVS, Where: "Bridge", Key: "br-ex other_config:hwaddr",
		Was: plan.Text("52:54:00:00:00:01"), Want: plan.Text("52:54:00:00:00:0a")}
	for range 2 {
		if err := apply(t, h, j, c); err != nil {
			t.Fatal(err)
		}
	}
	if got := vsctl("get", "bridge", "br-ex", "other_config"); got != `{hwaddr="52:54:00:00:00:0a", x=y}` {
		t.Errorf("other_config is %s", got)
	}
	forgotten(t, file, "52:54:00:00:00:01")
	c.Was, c.Want = plan.Text("52:54:00:00:00:99"), plan.Text("52:54:00:00:00:77")
	if err := apply(t, h, j, c); !errors.Is(err, ErrMoved) {
		t.Errorf("a moved entry: %v", err)
	}

	// The same through the file of a server that does not run.
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "etc/openvswitch/conf.db")
	if err := errors.Join(os.MkdirAll(filepath.Dir(conf), 0o755), os.WriteFile(conf, data, 0o640)); err != nil {
		t.Fatal(err)
	}
	offline, err := host.Open(dir, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer offline.Close()
	c.Was, c.Want = plan.Text("52:54:00:00:00:0a"), plan.Gone
	for range 2 {
		if err := apply(t, offline, j, c); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := offline.OVS(context.Background(), "Bridge", "other_config")
	if err != nil || rows["br-ex"]["other_config:hwaddr"] != "" || rows["br-ex"]["other_config:x"] != "y" {
		t.Errorf("file holds %v %v", rows, err)
	}
	forgotten(t, conf, "52:54:00:00:00:0a")
}

// forgotten: the database's file is a log, and must not go on naming who the machine was.
func forgotten(t *testing.T, file, value string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(data), "br-ex") || strings.Contains(string(data), value) {
		t.Errorf("%s has %s in its history (%v)", file, value, err)
	}
}

// TestRowsOfPostgreSQL: the law of compare-and-swap on a real server, in one transaction, through its own tool.
func TestRowsOfPostgreSQL(t *testing.T) {
	sock := hosttest.Postgres(t)
	hosttest.PSQL(t, sock, "postgres", "CREATE DATABASE engine;")
	const odd = `it's a \ "text" | of -end- =end=` + "\nwith ü"
	hosttest.PSQL(t, sock, "engine", `CREATE TABLE provider (id uuid PRIMARY KEY, url varchar(512) NOT NULL, note text, n int);
		INSERT INTO provider VALUES ('11111111-2222-3333-4444-555555555555', 'https://10.0.0.1:9696', NULL, 1), ('aaaaaaaa-2222-3333-4444-555555555555', 'b', 'x', 2);`)
	h, j, _ := open(t, host.Options{Postgres: sock})
	change := func(id, column string, was, want plan.Value) plan.Change {
		return plan.Change{Kind: plan.Row, Was: was, Want: want, Row: &plan.Target{Schema: host.PostgresSchema("engine"), Table: "provider",
			Match: map[string]string{"id": id}, Column: column}}
	}
	const one, two = "11111111-2222-3333-4444-555555555555", "aaaaaaaa-2222-3333-4444-555555555555"
	url := change(one, "url", plan.Text("https://10.0.0.1:9696"), plan.Text("https://10.0.0.10:9696"))
	note := change(one, "note", plan.Gone, plan.Text(odd))
	get := func(id, column string) string {
		rows, err := h.Rows(context.Background(), host.PostgresSchema("engine"), "provider", "id", column)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if v, ok := r[column]; ok && r["id"] == id {
				return v
			}
		}
		return "(absent)"
	}

	moved := change(two, "url", plan.Text("something else"), plan.Text("y"))
	if err := apply(t, h, j, url, moved); !errors.Is(err, ErrMoved) || get(one, "url") != "https://10.0.0.1:9696" {
		t.Fatalf("a moved row: error %v, first row is %s", err, get(one, "url"))
	}
	for range 2 { // the second time everything is there already
		if err := apply(t, h, j, url, note, change(two, "note", plan.Text("x"), plan.Gone)); err != nil {
			t.Fatal(err)
		}
	}
	if get(one, "url") != "https://10.0.0.10:9696" || get(one, "note") != odd || get(two, "note") != "(absent)" {
		t.Errorf("rows are %q %q %q", get(one, "url"), get(one, "note"), get(two, "note"))
	}
	// A statement that the server refuses takes the whole batch back: NULL is not allowed there.
	if err := apply(t, h, j, change(one, "note", plan.Text(odd), plan.Text("new")), change(two, "url", plan.Text("b"), plan.Gone)); err == nil || get(one, "note") != odd {
		t.Errorf("a refused statement: error %v, the row before it is %q", err, get(one, "note"))
	}
	remove := plan.Change{Kind: plan.Row, Want: plan.Gone, Row: &plan.Target{Schema: host.PostgresSchema("engine"), Table: "provider", Match: map[string]string{"id": two}}}
	for range 2 {
		if err := apply(t, h, j, remove); err != nil || get(two, "url") != "(absent)" {
			t.Fatal(err)
		}
	}
	if _, err := h.Rows(context.Background(), host.PostgresSchema("engine"), "no_such", "id"); !errors.Is(err, host.ErrNoTable) {
		t.Errorf("a table that is not there: %v", err)
	}
	for schema, opt := range map[string]host.Options{"none": {Postgres: sock}, "engine": {Postgres: "/nonexistent"}} {
		h, _, _ := open(t, opt)
		if _, err := h.Rows(context.Background(), host.PostgresSchema(schema), "provider", "id"); !errors.Is(err, host.ErrNoDatabase) {
			t.Errorf("%s in %s: %v", schema, opt.Postgres, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := h.Postgres(ctx, host.PostgresSchema("engine"), "SELECT pg_sleep(30);"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a server that hangs: %v", err)
	}
	if get(one, "url") != "https://10.0.0.10:9696" {
		t.Error("no new session after one that was ended")
	}
}
