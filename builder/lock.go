package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A lock is a file that one process at a time has locked. The kernel drops the lock with the process, however it ends.
type lock struct{ f *os.File }

// errBusy says that another process holds the lock.
var errBusy = errors.New("somebody else is at work on it")

// lock takes the lock called name, or returns errBusy with who has it.
func (h Home) lock(name string) (*lock, error) {
	path := filepath.Join(h.Dir, "locks", name+".lock")
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot lock: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			defer f.Close()
			if errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("%w%s", errBusy, holder(f))
			}
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		if sameFile(f, path) { // the one who held it before may have removed it
			_ = f.Truncate(0)
			_, _ = f.WriteAt([]byte(strconv.Itoa(hostPID())), 0) // only for the message of the next one
			return &lock{f: f}, nil
		}
		f.Close()
	}
}

// lockWait takes a lock that others give back soon. waiting is called once when it is not free.
func (h Home) lockWait(ctx context.Context, name string, waiting func(error)) (*lock, error) {
	for told := false; ; {
		l, err := h.lock(name)
		if !errors.Is(err, errBusy) {
			return l, err
		}
		if !told {
			waiting(err)
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// release gives the lock back and removes its file.
func (l *lock) release() {
	_ = os.Remove(l.f.Name()) // while it is held: see sameFile
	l.f.Close()
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// holder reads who has the lock, for a message.
func holder(f *os.File) string {
	b := make([]byte, 20)
	n, _ := f.ReadAt(b, 0) // an empty file is no error worth telling
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return ": process " + pid
	}
	return ""
}

// hostPID is our process id as the user sees it: within a pid namespace that is the parent's affair, and told by it.
func hostPID() int {
	if pid, err := strconv.Atoi(os.Getenv(PIDVariable)); err == nil {
		return pid
	}
	return os.Getpid()
}

// PIDVariable carries the process id of the outer goldsmith to the inner one.
const PIDVariable = "GOLDSMITH_PID"
