package qemu

import (
	"bufio"
	"context"
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

// Accelerator chooses between KVM and TCG. The choice is kept in the file note: finding out takes a boot. The roots are
// directories that may have a kernel in boot/ to try.
func Accelerator(ctx context.Context, note string, roots ...string) (string, error) {
	if b, err := os.ReadFile(note); err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	accel := TCG
	if kvmBoots(ctx, aKernel(roots)) {
		accel = KVM
	}
	if err := ctx.Err(); err != nil {
		return "", err // a probe that was cut short says nothing
	}
	return accel, os.WriteFile(note, []byte(accel+"\n"), 0o600)
}

// kvmDeadline is how long a kernel may take under KVM until it finds that it has no root: a healthy one needs a second.
const kvmDeadline = 15 * time.Second

// kvmBoots tries KVM: on nested hosts it may open, make a machine, and then run a kernel into the ground. So a kernel is
// booted without a disk; it says its first line and panics, and qemu leaves. Without any kernel to try, KVM is not
// believed.
func kvmBoots(ctx context.Context, kernel string) bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil || kernel == "" {
		return false
	}
	f.Close()
	ctx, cancel := context.WithTimeout(ctx, kvmDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, Program, "-no-user-config", "-nodefaults", "-display", "none", "-machine", "q35,accel=kvm",
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

// aKernel finds the newest kernel of the first root that has one, and at last the host's.
func aKernel(roots []string) string {
	for _, root := range append(roots, "/") {
		if root == "" {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*")); err == nil && len(found) > 0 {
			return found[len(found)-1]
		}
	}
	return ""
}
