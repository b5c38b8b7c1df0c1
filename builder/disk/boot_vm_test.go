//go:build vm

package disk

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
)

// bootMarker is what the machine prints on its serial console once it has become multi-user.
const bootMarker = "goldsmith-test: booted from its own disk"

// debianTree is a minimal Debian with a kernel. It is bootstrapped once, by mmdebstrap from the mirror that this host
// uses, and kept in the user's cache.
func debianTree(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "goldsmith", "test-tree-bookworm-lvm")
	if _, err := os.Stat(filepath.Join(dir, "vmlinuz")); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "mmdebstrap", "--variant=minbase",
		"--include=systemd-sysv,udev,linux-image-cloud-amd64,lvm2", "bookworm", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, out)
	}
	return dir
}

// withMarker copies the tree and adds a unit that prints the marker and powers the machine off.
func withMarker(t *testing.T, source, dir string) string {
	t.Helper()
	target, root := copyOfTree(t, source, dir)
	addUnit(t, root, "echo "+bootMarker+"; findmnt -no SOURCE,FSTYPE /")
	return target
}

// copyOfTree copies a tree to a place where it may be changed.
func copyOfTree(t *testing.T, source, dir string) (string, *tree.FS) {
	t.Helper()
	target := filepath.Join(dir, "tree")
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := kernel.CloneTree(source)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Abandon()
	root, err := tree.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	if err := tree.Copy(t.Context(), root.Fd(), from.Fd(), nil); err != nil {
		t.Fatal(err)
	}
	return target, root
}

// addUnit adds a unit that runs a line of shell, which must have no quotes, and powers the machine off. It speaks to the console
// and not to the terminal behind it, which a getty takes away from everybody else (vhangup(2)).
func addUnit(t *testing.T, root *tree.FS, line string) {
	t.Helper()
	unit := "[Unit]\nSuccessAction=poweroff\nFailureAction=poweroff\n[Service]\nType=oneshot\nExecStart=/bin/sh -c '(" + line + ") >/dev/console 2>&1'\n"
	if err := root.WriteFile("etc/systemd/system/marker.service", []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	wants := "etc/systemd/system/multi-user.target.wants"
	if err := root.MkdirAll(wants, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.Symlink("../marker.service", wants+"/marker.service"); err != nil {
		t.Fatal(err)
	}
}

func TestVMBootsFromItsOwnLoader(t *testing.T) {
	dir := scratch(t)
	out := filepath.Join(dir, "golden.qcow2")
	began := time.Now()
	made, err := Make(t.Context(), MakeOptions{Tree: withMarker(t, debianTree(t), dir), Out: out, Size: 4 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("made %+v in %s", made, time.Since(began))

	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	began = time.Now()
	log := boot(ctx, t, out, "qcow2")
	if !strings.Contains(log, bootMarker) {
		t.Fatalf("the machine did not boot; its console:\n%s", log)
	}
	t.Logf("booted and powered off in %s", time.Since(began))
	must(t, "qemu-img", "check", out)
}

// boot runs a machine until it powers itself off, and returns what it said on its serial console.
func boot(ctx context.Context, t *testing.T, image, format string, more ...string) string {
	t.Helper()
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", append([]string{"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
		"-smp", "2", "-m", "1024", "-display", "none", "-nic", "none", "-no-reboot", "-serial", "stdio", "-monitor", "none",
		"-drive", "if=virtio,format=" + format + ",file=" + image}, more...)...)
	console, err := qemu.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	qemu.Stderr = os.Stderr
	if err := qemu.Start(); err != nil {
		t.Fatal(err)
	}
	log := readConsole(console)
	if err := qemu.Wait(); err != nil {
		t.Errorf("qemu: %v", err)
	}
	return log
}

// readConsole returns all that the machine says.
func readConsole(r io.Reader) string {
	var b strings.Builder
	s := bufio.NewScanner(r)
	for s.Scan() {
		b.WriteString(s.Text() + "\n")
	}
	return b.String()
}
