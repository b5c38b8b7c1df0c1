// Package hosttest starts the real servers that tests need, each private to one test: MariaDB on a socket of its own, an
// ovsdb-server with an empty database.
package hosttest

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// MariaDB starts a server in a directory of its own and returns its socket and a connection. It ends with the test.
func MariaDB(t testing.TB) (socket string, db *sql.DB) {
	t.Helper()
	dir := Dir(t)
	data := filepath.Join(dir, "data")
	out, err := exec.Command("mariadb-install-db", "--no-defaults", "--datadir="+data, "--user=root", "--skip-test-db",
		"--auth-root-authentication-method=socket", "--auth-root-socket-user=root").CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s\nhint: make setup installs MariaDB", err, out)
	}
	socket = filepath.Join(dir, "s")
	cmd := exec.Command("mariadbd", "--no-defaults", "--user=root", "--datadir="+data, "--socket="+socket, "--skip-networking",
		"--pid-file="+filepath.Join(dir, "pid"), "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=1",
		"--plugin-load-add=auth_socket")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("mariadbd: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
	})
	return socket, connect(t, socket, filepath.Join(dir, "log"))
}

func connect(t testing.TB, socket, log string) *sql.DB {
	t.Helper()
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.MultiStatements = "root", "unix", socket, true
	cfg.Logger = quiet{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	for range 300 {
		if err = db.PingContext(context.Background()); err == nil {
			return db
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(log)
	t.Fatalf("MariaDB does not answer: %v\n%s", err, text)
	return nil
}

type quiet struct{}

func (quiet) Print(...any) {}

// Dir returns a directory for the test, in memory where the machine has room for that: tests that kill processes need no
// disk, and wait for it a lot. Its path is short, because a socket's has 107 bytes.
func Dir(t testing.TB) string {
	t.Helper()
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "gs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Load runs an SQL script, many statements in one.
func Load(t testing.TB, db *sql.DB, script string) {
	t.Helper()
	if _, err := db.Exec(script); err != nil {
		t.Fatalf("cannot load fixture: %v", err)
	}
}
