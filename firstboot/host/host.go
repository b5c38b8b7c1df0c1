package host

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/host/volume"
)

// A Host is one machine with both halves of the door.
type Host struct {
	root    root
	running bool
	opt     Options

	mu    sync.Mutex
	db    *sql.DB
	psqls map[string]*psqlSession // by schema
}

// Options say where the parts of a machine are that are not files.
type Options struct {
	// MySQL is the server's unix socket; empty: the first of the usual ones that exists.
	MySQL string
	// Postgres is the directory of the server's unix socket, where anybody may be its superuser; empty: the machine's own.
	Postgres string
	// OVSDB is the database's unix socket; empty: /run/openvswitch/db.sock.
	OVSDB string
}

// Open opens the machine whose root is dir. "/" is the running one.
func Open(dir string, opt Options) (*Host, error) {
	r, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open root %s: %w", dir, err)
	}
	return &Host{root: r, running: path.Clean(dir) == "/", opt: opt}, nil
}

// Close lets go of the root and of the database.
func (h *Host) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db != nil {
		h.db.Close()
		h.db = nil
	}
	h.closePsql()
	return h.root.close()
}

// Running tells whether this is the machine that we run on.
func (h *Host) Running() bool { return h.running }

// ReadFile returns a file's content.
func (h *Host) ReadFile(name string) ([]byte, error) { return h.root.readFile(name) }

// Stat follows symbolic links inside the root.
func (h *Host) Stat(name string) (fs.FileInfo, error) { return h.root.stat(name, true) }

// Lstat does not follow the last symbolic link.
func (h *Host) Lstat(name string) (fs.FileInfo, error) { return h.root.stat(name, false) }

// Readlink returns the target of a symbolic link as it is written.
func (h *Host) Readlink(name string) (string, error) { return h.root.readlink(name) }

// Glob returns the paths that match, sorted.
func (h *Host) Glob(pattern string) ([]string, error) { return glob(h.root, pattern) }

// KernelHostname returns the running kernel's host name.
func (h *Host) KernelHostname() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("cannot read the host name: %w", err)
	}
	return unix.ByteSliceToString(u.Nodename[:]), nil
}

// Root returns what the root file system stands on.
func (h *Host) Root() (*volume.Root, error) {
	if !h.running {
		return nil, nil
	}
	return volume.Look("/")
}

// OpenFile opens a file below the root for the caller's own use, such as a journal or a lock.
func (h *Host) OpenFile(name string, flags int, mode fs.FileMode) (*os.File, error) {
	return h.root.open(name, flags, uint32(mode.Perm()))
}

var _ Reader = (*Host)(nil)

// dbContext bounds one question to a local server.
func dbContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, queryTimeout)
}
