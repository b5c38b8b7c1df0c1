// Package isolate runs goldsmith a second time in namespaces of its own, so that nothing of a bake can outlive it.
//
// Mounts are made in a private mount namespace, and every process is a descendant of PID 1 of a private pid namespace,
// which is goldsmith itself. However that process ends, by an error, a signal or SIGKILL, the kernel ends all others and
// drops all mounts. What is left is files, and those are found by name (see builder.Clean).
package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// variable marks the environment of the second run.
const variable = "GOLDSMITH_ISOLATED"

// grace is how long the second run may take to stop what it does: a booted machine with a database powers off.
const grace = 90 * time.Second

// Inside says whether this process is the second run.
func Inside() bool { return os.Getenv(variable) != "" && os.Getpid() == 1 }

// Run starts this program again, with the same arguments, and returns its exit status. When ctx is done it gets SIGTERM
// and some time; when this process dies it dies at once.
func Run(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("cannot find this program: %w", err)
	}
	// The death signal comes when the thread that forked ends, so this goroutine keeps its thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = grace
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() >= 0 {
		return exit.ExitCode(), nil
	}
	if err != nil && ctx.Err() == nil {
		return 0, fmt.Errorf("cannot run in namespaces of its own: %w", err)
	}
	return 0, err
}

// Enter finishes the isolation from inside. Mounts that the host drops are dropped here, too (slave), so that a long bake
// keeps no disk of the host busy; what is mounted here is never seen outside.
func Enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	// Network namespaces have their names here, as files on which they are mounted: mounts that nobody outside would see,
	// on files that would stay.
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run/netns", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
		return fmt.Errorf("cannot mount /run/netns: %w", err)
	}
	return os.Unsetenv(variable)
}
