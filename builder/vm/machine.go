package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"goldsmith/builder/vm/qemu"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// A Spec says what machine to boot.
type Spec struct {
	Dir      string   // for sockets, seed and key; it exists, is private, and its path is short
	Console  string   // file that gets what the machine says on its serial line
	Disks    []string // qcow2 files, the root first; they are written
	CPUs     int
	Memory   int64 // bytes
	Accel    string
	Identity identity.Identity // that the machine boots as
	Patience time.Duration     // for a boot, until SSH answers
}

// A Machine is a virtual machine that runs.
type Machine struct {
	Spec
	cmd   *exec.Cmd
	said  *strings.Builder // QEMU's own messages
	key   *key
	port  int // of this host's loopback address, leads to the machine's SSH
	nodes []string
	count int // of snapshots
	// noAgent says that no guest agent answered, or that it may not freeze.
	noAgent bool
	conn    *ssh.Client

	// alive ends when the machine does, or its kernel: the cause says how.
	alive context.Context
	end   context.CancelCauseFunc
	gone  chan struct{} // closed when the process has been waited for
}

// Start boots a machine and waits until it answers by SSH. On an error nothing is left running.
func Start(ctx context.Context, s Spec) (*Machine, error) {
	m := &Machine{Spec: s, said: &strings.Builder{}, gone: make(chan struct{})}
	var err error
	if m.key, err = newKey(); err != nil {
		return nil, err
	}
	if err := writeSeed(m.file("seed.iso"), s.Identity, m.key.line); err != nil {
		return nil, err
	}
	if err := m.launch(); err != nil {
		return nil, err
	}
	if err := m.settle(ctx); err != nil {
		return nil, errors.Join(err, m.Kill())
	}
	return m, nil
}

func (m *Machine) file(name string) string { return filepath.Join(m.Dir, name) }

// Check says what of this host keeps machines from running.
func Check() error {
	if _, err := exec.LookPath(qemu.Program); err != nil {
		return report.Faultf(report.Usage, "cannot bake in a virtual machine: %s is missing", qemu.Program).
			WithHint("apt-get install qemu-system-x86")
	}
	return nil
}

// launch starts the process and the goroutines that watch it.
func (m *Machine) launch() error {
	if len(m.file("qmp"))+1 > qemu.MaxSocketPath {
		return report.Faultf(report.Usage, "cannot make a socket in %s: the path is too long", m.Dir).WithHint("use a shorter --home")
	}
	console, err := os.OpenFile(m.Console, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep the machine's console: %w", err)
	}
	start, err := console.Seek(0, 2)
	if err := errors.Join(err, console.Close()); err != nil {
		return err
	}
	argv := m.command()
	m.cmd = exec.Command(argv[0], argv[1:]...)
	m.cmd.Stdout, m.cmd.Stderr = m.said, m.said
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's Ctrl-C is for goldsmith alone
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the virtual machine: %w", err)
	}
	m.alive, m.end = context.WithCancelCause(context.Background())
	go m.reap()
	go m.watch(start)
	return nil
}

// reap waits for the process.
func (m *Machine) reap() {
	err := m.cmd.Wait()
	text := strings.TrimSpace(m.said.String())
	m.end(fmt.Errorf("the virtual machine has ended (%v) %s", errOr(err, "powered off"), text))
	close(m.gone)
}

func errOr(err error, text string) string {
	if err == nil {
		return text
	}
	return err.Error()
}

// The kernel's last words (kernel/panic.c).
const panicMark = "Kernel panic - not syncing"

// statusEvery is how often the monitor is asked how the machine is.
const statusEvery = 5 * time.Second

// watch reads the console and asks the monitor until the machine ends, and ends it when its kernel has, or when QEMU has stopped
// it: nothing that is done inside would ever come to an end then.
func (m *Machine) watch(offset int64) {
	asked := time.Now()
	for {
		select {
		case <-m.alive.Done():
			return
		case <-time.After(time.Second):
		}
		text, next := readFrom(m.Console, offset)
		if i := strings.Index(text, panicMark); i >= 0 {
			line, _, _ := strings.Cut(text[i:], "\n")
			m.end(fmt.Errorf("the machine's kernel has died: %s", strings.TrimSpace(line)))
			return
		}
		offset = max(next-int64(len(panicMark)), offset) // a mark may have been cut in two
		if time.Since(asked) < statusEvery {
			continue
		}
		if err := m.standsStill(); err != nil {
			m.end(err)
			return
		}
		asked = time.Now()
	}
}

// standsStill says why QEMU runs the machine no further. A monitor that does not answer is not asked again before its time: it may
// be at work, and whether QEMU lives shows elsewhere.
func (m *Machine) standsStill() error {
	if m.cmd == nil {
		return nil
	}
	q, err := qemu.Dial(m.alive, m.file("qmp"))
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer q.Close()
	var is struct{ Status string }
	if q.Do("query-status", nil, &is) != nil {
		return nil
	}
	switch is.Status {
	case "io-error":
		return fmt.Errorf("the virtual machine stands still: it could not write to its disks in %s%s", filepath.Dir(m.Disks[0]), room(m.Disks[0]))
	case "paused", "internal-error", "guest-panicked", "watchdog", "suspended":
		return fmt.Errorf("the virtual machine stands still: %s", is.Status)
	}
	return nil
}

// room tells of a full disk, which is the usual reason.
func room(path string) string {
	var s syscall.Statfs_t
	if syscall.Statfs(path, &s) != nil || s.Bavail*uint64(s.Bsize) > 64<<20 {
		return ""
	}
	return fmt.Sprintf(", where %d MiB are left", s.Bavail*uint64(s.Bsize)>>20)
}

// settle waits for the monitor, which says where SSH is, and then for SSH.
func (m *Machine) settle(ctx context.Context) error {
	ctx, stop := m.during(ctx)
	defer stop()
	if err := m.findPort(ctx); err != nil {
		return err
	}
	return m.connect(ctx, "")
}

// during derives a context that ends with the machine, too.
func (m *Machine) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(m.alive, func() { cancel(context.Cause(m.alive)) })
	return ctx, func() { stop(); cancel(nil) }
}

// monitorPatience is how long QEMU may take to open its sockets.
const monitorPatience = 30 * time.Second

// findPort asks QEMU for the port that it chose for SSH.
func (m *Machine) findPort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, monitorPatience)
	defer cancel()
	for {
		text, err := m.usernet(ctx)
		if err == nil {
			m.port, err = parsePort(text)
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot reach the machine's monitor: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (m *Machine) usernet(ctx context.Context) (string, error) {
	q, err := qemu.Dial(ctx, m.file("qmp"))
	if err != nil {
		return "", err
	}
	defer q.Close()
	var text string
	err = q.Do("human-monitor-command", map[string]string{"command-line": "info usernet"}, &text)
	return text, err
}

// PowerOff stops the machine as its power button does, and pulls the plug after patience, with an error.
func (m *Machine) PowerOff(ctx context.Context, patience time.Duration) error {
	m.hangUp()
	if err := qemu.Tell(ctx, m.file("qmp"), "system_powerdown"); err != nil {
		return errors.Join(err, m.Kill())
	}
	select {
	case <-m.gone:
		return nil
	case <-ctx.Done():
		return errors.Join(ctx.Err(), m.Kill())
	case <-time.After(patience):
		return errors.Join(m.silent(fmt.Sprintf("cannot power the machine off: it still runs after %s", patience)), m.Kill())
	}
}

// Kill ends the machine at once. It may be called at any time, and twice.
func (m *Machine) Kill() error {
	m.hangUp()
	if err := m.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot end the virtual machine: %w", err)
	}
	<-m.gone
	return nil
}

func (m *Machine) hangUp() {
	if m.conn != nil {
		_ = m.conn.Close() // the machine goes away, whatever the connection thinks of it
		m.conn = nil
	}
}

// silent is an error about a machine that says nothing to us, with what it said last on its console.
func (m *Machine) silent(text string) error {
	f := report.Faultf(report.Stopped, "%s\n%s", text, indent(lastLines(m.Console, 15)))
	return f.WithHint("its whole console: %s", m.Console)
}
