package hosttest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Postgres starts a PostgreSQL in a directory of its own, as the unprivileged user that its package makes, and returns the
// directory of its socket, where anybody is its superuser. It ends with the test.
func Postgres(t testing.TB) (socket string) {
	t.Helper()
	dir := Dir(t)
	as := postgresUser(t)
	if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(postgresTool(t, name), args...)
		cmd.Dir, cmd.Env = dir, []string{"LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
		return cmd
	}
	if out, err := run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	cmd := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=20")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("postgres: %v", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT) // fast shutdown
		cmd.Wait()
		log.Close()
	})
	for range 200 {
		if out, err := psql(t, dir, "postgres", "SELECT 1;"); err == nil && strings.TrimSpace(out) == "1" {
			return dir
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(filepath.Join(dir, "log"))
	t.Fatalf("PostgreSQL does not answer\n%s", text)
	return ""
}

// postgresUser is the user that the package makes: the server refuses to run as root.
func postgresUser(t testing.TB) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("%v\nhint: make setup installs PostgreSQL", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatalf("user postgres: %v %v", err1, err2)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// postgresTool finds a program of the newest version that is installed.
func postgresTool(t testing.TB, name string) string {
	t.Helper()
	list, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(list) == 0 {
		t.Fatalf("no %s: %v\nhint: make setup installs PostgreSQL", name, err)
	}
	return list[len(list)-1]
}

// PSQL runs a script in a database and returns what it prints.
func PSQL(t testing.TB, socket, database, script string) string {
	t.Helper()
	out, err := psql(t, socket, database, script)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return out
}

// PostgresPath puts the server's own programs first: Debian's psql is a script in front of them that takes longer than a query.
func PostgresPath(t testing.TB) string {
	return filepath.Dir(postgresTool(t, "psql")) + ":" + os.Getenv("PATH")
}

func psql(t testing.TB, socket, database, script string) (string, error) {
	cmd := exec.Command(postgresTool(t, "psql"), "-XAqt", "-vON_ERROR_STOP=1", "-U", "postgres", "-h", socket, "-d", database)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
