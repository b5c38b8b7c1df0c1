package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The accelerators.
const (
	KVM = "kvm" // the processor itself, about twenty times as fast
	TCG = "tcg" // emulation, which works everywhere
)

// A Kernel finds a kernel to try, "" where there is none. It is asked only when it is needed.
type Kernel func(ctx context.Context) (path string, err error)

// KernelIn finds the newest kernel in boot/ of the first root that has one, and at last this host's.
func KernelIn(roots ...string) Kernel {
	return func(context.Context) (string, error) {
		for _, root := range append(roots, "/") {
			if root == "" {
				continue
			}
			if found, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*")); err == nil && len(found) > 0 {
				return found[len(found)-1], nil
			}
		}
		return "", nil
	}
}

// A verdict is what the note keeps. It holds for one boot of the host and one QEMU: a nested host's KVM may come, go and break
// with either.
type verdict struct {
	Accel string `json:"accel"`
	Host  string `json:"host"` // boot id
	QEMU  string `json:"qemu"` // size and time of the program
}

// Accelerator chooses between KVM and TCG. Where /dev/kvm does not open there is nothing to find out; else a kernel is booted,
// and the file note keeps what came of it.
func Accelerator(ctx context.Context, note string, kernel Kernel) (string, error) {
	return choose(ctx, note, "/dev/kvm", kernel, func(ctx context.Context, kernel string) bool { return boots(ctx, KVM, kernel, kvmDeadline) })
}

func choose(ctx context.Context, note, device string, kernel Kernel, try func(context.Context, string) bool) (string, error) {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return TCG, nil
	}
	f.Close()
	now := verdict{Accel: TCG, Host: bootID(), QEMU: program()}
	if b, err := os.ReadFile(note); err == nil {
		var was verdict
		if json.Unmarshal(b, &was) == nil && was.Host == now.Host && was.QEMU == now.QEMU && (was.Accel == KVM || was.Accel == TCG) {
			return was.Accel, nil
		}
	}
	path, err := kernel(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot find a kernel to try KVM with: %w", err)
	}
	if path == "" {
		return TCG, nil // KVM is not believed without a trial; another machine may bring a kernel, so no note
	}
	if try(ctx, path) {
		now.Accel = KVM
	}
	if err := ctx.Err(); err != nil {
		return "", err // a trial that was cut short says nothing
	}
	b, err := json.Marshal(now)
	if err != nil {
		return "", err
	}
	return now.Accel, os.WriteFile(note, append(b, '\n'), 0o600)
}

// bootID is another one after every boot of this host.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // "" is one, too: then only QEMU counts
	return strings.TrimSpace(string(b))
}

// program tells one QEMU from another.
func program() string {
	path, err := exec.LookPath(Program)
	if err != nil {
		return ""
	}
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano())
}

// kvmDeadline is how long a kernel may take under KVM until it finds that it has no root: a healthy one needs a second.
const kvmDeadline = 15 * time.Second

// boots tries an accelerator: on nested hosts KVM may open, make a machine, and then run a kernel into the ground. So a kernel
// is booted without a disk; it says its first line, panics, and qemu leaves. Nothing of it runs when boots comes back.
func boots(ctx context.Context, accel, kernel string, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Program, "-no-user-config", "-nodefaults", "-display", "none", "-machine", "q35,accel="+accel,
		"-cpu", "max", "-m", "256", "-no-reboot", "-serial", "stdio", "-kernel", kernel, "-append", "console=ttyS0 panic=-1")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return false
	}
	booted := false
	for sc := bufio.NewScanner(out); sc.Scan() && !booted; {
		booted = strings.Contains(sc.Text(), "Kernel panic") // it came as far as looking for its root
	}
	cancel()
	_ = cmd.Wait() // killed by us, or by the deadline
	return booted
}
