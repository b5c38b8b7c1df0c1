package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
)

// A Booted machine runs systemd as PID 1.
type Booted struct {
	cmd   *exec.Cmd
	group *group
	name  string
	net   *os.File
	init  int           // PID 1 of the machine, as we see it
	done  chan struct{} // closed when systemd-nspawn has ended
	err   error         // of systemd-nspawn, once done is closed
}

// netFD is the number under which systemd-nspawn gets the network namespace: the first of ExtraFiles.
const netFD = 3

// bootPatience is how long systemd may take to answer.
const bootPatience = 2 * time.Minute

// Boot boots the tree as identity id, which is the marker, up to a systemd target. Its console goes to log.
func (s Spec) Boot(ctx context.Context, id identity.Identity, target string, log io.Writer) (*Booted, error) {
	group, err := newGroup(s.Name)
	if err != nil {
		return nil, err
	}
	m := &Booted{group: group, name: s.Name, done: make(chan struct{})}
	if m.net, err = island(id); err != nil {
		return nil, errors.Join(err, group.remove())
	}
	argv := s.nspawn("--hostname="+id.Hostname, "--network-namespace-path=/proc/self/fd/"+strconv.Itoa(netFD),
		"--capability=CAP_NET_ADMIN", "--uuid="+id.MachineID)
	if _, err := os.Stat("/dev/net/tun"); err == nil { // Open vSwitch in user space wants it
		argv = append(argv, "--bind=/dev/net/tun")
	}
	argv = append(argv, "--boot", "--", "systemd.unit="+target)
	m.cmd = exec.Command(argv[0], argv[1:]...)
	m.cmd.Env, m.cmd.ExtraFiles, m.cmd.Stdout, m.cmd.Stderr = nspawnEnv(), []*os.File{m.net}, log, log
	m.cmd.WaitDelay = time.Second
	if err := group.start(m.cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start systemd-nspawn: %w", err), m.net.Close(), group.remove())
	}
	go func() {
		m.err = m.cmd.Wait()
		close(m.done)
	}()
	if err := m.wait(ctx, target); err != nil {
		return nil, errors.Join(err, m.Kill())
	}
	return m, nil
}

// wait waits until the machine has reached its target.
func (m *Booted) wait(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, bootPatience, errors.New("systemd inside does not answer"))
	defer cancel()
	for !m.answers() {
		select {
		case <-m.done:
			return fmt.Errorf("cannot boot machine: systemd-nspawn ended: %w", m.err)
		case <-ctx.Done():
			return fmt.Errorf("cannot boot machine: %w", context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
	// Jobs may remain queued when a unit hangs; the steps that need a unit start it themselves.
	err := m.Run(ctx, Command{Argv: []string{"systemctl", "start", target}})
	if err != nil {
		return fmt.Errorf("cannot boot machine to %s: %w", target, err)
	}
	return nil
}

// answers says whether systemd inside has opened its socket, and finds its process.
func (m *Booted) answers() bool {
	if m.init == 0 {
		m.init = findInit(m.cmd.Process.Pid, 4)
	}
	if m.init == 0 {
		return false
	}
	_, err := os.Stat(fmt.Sprintf("/proc/%d/root/run/systemd/private", m.init))
	return err == nil
}

// findInit looks for a process that is number 1 of a pid namespace below ours, depth generations down.
func findInit(pid, depth int) int {
	if isInit(pid) {
		return pid
	}
	if depth == 0 {
		return 0
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // a process that is gone has none
	for f := range strings.FieldsSeq(string(b)) {
		child, _ := strconv.Atoi(f)
		if found := findInit(child, depth-1); found != 0 {
			return found
		}
	}
	return 0
}

// isInit reads the NSpid line of proc(5) status: the pid in every namespace from ours inwards.
func isInit(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(rest)
			return len(f) > 1 && f[len(f)-1] == "1"
		}
	}
	return false
}

// Run runs a command inside.
func (m *Booted) Run(ctx context.Context, c Command) error {
	// --wd without a path: systemd's own directory. A path would be one of ours, outside of the root, where getcwd(3) fails.
	args := []string{"--target", strconv.Itoa(m.init), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "--",
		"/usr/bin/env", "-i"}
	args = append(args, c.environment()...)
	if c.User != "" {
		args = append(args, "setpriv", "--reuid="+c.User, "--regid="+c.User, "--init-groups", "--")
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(args, c.Argv...)...)
	cmd.WaitDelay = 5 * time.Second
	err := c.run(cmd, nil) // what it starts ends with the machine's pid namespace
	if err != nil && context.Cause(ctx) != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// sigPowerOff is SIGRTMIN+4, which means power off to systemd (systemd(1)); glibc's SIGRTMIN is 34.
const sigPowerOff = unix.Signal(34 + 4)

// PowerOff shuts the machine down in order, so that its databases are clean, and waits for it.
func (m *Booted) PowerOff(ctx context.Context, patience time.Duration) error {
	if err := unix.Kill(m.init, sigPowerOff); err != nil {
		return errors.Join(fmt.Errorf("cannot power off machine: %w", err), m.Kill())
	}
	select {
	case <-m.done:
		return m.release()
	case <-ctx.Done():
		return errors.Join(ctx.Err(), m.Kill())
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("cannot power off machine: still there after %s", patience), m.Kill())
	}
}

// Kill ends the machine at once.
func (m *Booted) Kill() error {
	if err := m.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot end machine: %w", err)
	}
	if m.init != 0 {
		_ = unix.Kill(m.init, unix.SIGKILL) // gone already is what we want
	}
	<-m.done
	return m.release()
}

func (m *Booted) release() error {
	removeRuntime(m.name)
	return errors.Join(m.net.Close(), m.group.remove())
}
