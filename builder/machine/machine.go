// Package machine runs programs inside a root tree on this host, by systemd-nspawn: single commands in a tree that is not
// booted, or a whole booted machine under the marker identity, with a network of its own that leads nowhere.
//
// It needs no systemd on the host: machines are not registered anywhere. The caller is in namespaces of its own
// (goldsmith/builder/isolate), so that machines end with it.
package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Command runs inside.
type Command struct {
	Argv  []string
	Env   []string // NAME=value, beside PATH, HOME and LC_ALL
	Stdin []byte
	User  string            // by name; "" is root
	Line  func(line string) // gets every line of output; nil: kept for the error only
	Log   io.Writer         // gets all output; may be nil
}

// ErrExit wraps the failure of a command that did run. Its text has the last lines of the output.
var ErrExit = errors.New("command failed")

// environment is what a command inside sees of ours: nothing.
func (c Command) environment() []string {
	return append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
		"DEBIAN_FRONTEND=noninteractive"}, c.Env...)
}

// A Spec is a tree and what of the host it may see.
type Spec struct {
	Root  string   // directory of the tree
	Name  string   // of the machine: at most 13 letters
	Binds []string // "host path:path inside", read-only
}

// nspawn is the part of the command line that both ways share. The lock of systemd-nspawn stays behind when it is killed,
// and each tree has one user anyway, so it is switched off (systemd, docs/ENVIRONMENT.md).
func (s Spec) nspawn(more ...string) []string {
	argv := []string{"systemd-nspawn", "--quiet", "--directory=" + s.Root, "--register=no", "--keep-unit", "--machine=" + s.Name,
		"--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no"}
	if suppressesSync() {
		argv = append(argv, "--suppress-sync=yes")
	}
	for _, b := range s.Binds {
		argv = append(argv, "--bind-ro="+b)
	}
	return append(argv, more...)
}

// suppressesSync says whether this systemd-nspawn can turn a machine's sync() into nothing (v250). A layer is synced once,
// when it is complete; and sync() waits for every file system of the host, also for one that hangs.
func suppressesSync() bool {
	help, err := exec.Command("systemd-nspawn", "--help").Output()
	return err == nil && bytes.Contains(help, []byte("--suppress-sync"))
}

func nspawnEnv() []string {
	return append(os.Environ(), "SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network")
}

// Run runs one command in the tree, which is not booted and has no network.
func (s Spec) Run(ctx context.Context, c Command) (err error) {
	argv := s.nspawn("--private-network", "--as-pid2")
	for _, e := range c.environment() {
		argv = append(argv, "--setenv="+e)
	}
	if c.User != "" {
		argv = append(argv, "--user="+c.User)
	}
	argv = append(append(argv, "--"), c.Argv...)
	group, err := newGroup(s.Name)
	if err != nil {
		return err
	}
	defer func() {
		removeRuntime(s.Name)
		err = errors.Join(err, group.remove())
	}()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = nspawnEnv()
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) } // nspawn kills what is inside
	cmd.WaitDelay = 10 * time.Second
	return c.run(cmd, group)
}

// run starts cmd, in a cgroup where there is one, and collects its output.
func (c Command) run(cmd *exec.Cmd, group *group) error {
	out := &lines{each: c.Line, log: c.Log}
	if c.Stdin != nil {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.Stdout, cmd.Stderr = out, out
	err := group.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	out.flush()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s: %w%s", ErrExit, filepath.Base(c.Argv[0]), exit, out.tail())
	}
	return err
}

// lines cuts output into lines, hands them on and keeps the last.
type lines struct {
	each func(string)
	log  io.Writer
	rest []byte
	last []string
}

// keptLines is how much of a failed command's output stands in its error.
const keptLines = 12

func (l *lines) Write(p []byte) (int, error) {
	if l.log != nil {
		if _, err := l.log.Write(p); err != nil {
			return 0, err
		}
	}
	l.rest = append(l.rest, p...)
	for {
		i := bytes.IndexAny(l.rest, "\n\r")
		if i < 0 {
			return len(p), nil
		}
		l.line(string(l.rest[:i]))
		l.rest = l.rest[i+1:]
	}
}

// cleanup begins what systemd-nspawn says at every end on hosts whose /run is no tmpfs. It means nothing: removeRuntime
// removes what it speaks of.
const cleanup = "Attempted to remove disk file system"

func (l *lines) line(s string) {
	if s = strings.TrimRight(s, " \t"); s == "" || strings.HasPrefix(s, cleanup) {
		return
	}
	if l.each != nil {
		l.each(s)
	}
	if l.last = append(l.last, s); len(l.last) > keptLines {
		l.last = l.last[1:]
	}
}

func (l *lines) flush() {
	l.line(string(l.rest))
	l.rest = nil
}

func (l *lines) tail() string {
	if len(l.last) == 0 {
		return ""
	}
	return "\n  | " + strings.Join(l.last, "\n  | ")
}
