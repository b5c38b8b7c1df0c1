//go:build integration

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/report"
)

// TestInterruptLeavesNothing sends the signal of Ctrl-C to a real export in the middle of its work, for every format, and
// to one that has only begun: no file, no loop device, no process of it is left.
func TestInterruptLeavesNothing(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "goldsmith-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "goldsmith") // by this name the test binary is the program: see TestMain
	if err := os.Symlink("/proc/self/exe", program); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(dir, "disk.raw")
	sh(t, "truncate -s 1G "+image+" && mkfs.ext4 -q -F "+image+" && dd if=/dev/urandom of="+image+" bs=1M seek=200 count=400 conv=notrunc status=none")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, format string
		grown        int64
	}{
		{"at once", "qcow2", 0}, {"qcow2", "qcow2", 1 << 20}, {"raw", "raw", 1 << 20}, {"ova", "ova", 0}, {"vmdk", "vmdk", 1 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := filepath.Join(dir, "out."+c.format)
			cmd := exec.Command(self, "export", image, "--keep-free", "--format", c.format, "-o", out)
			cmd.Args[0] = program
			var said strings.Builder
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitSize(t, filepath.Join(dir, ".out."+c.format+".goldsmith"), c.grown)
			if err := cmd.Process.Signal(unix.SIGINT); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || report.Code(exit.ExitCode()) != report.Stopped || !strings.HasSuffix(said.String(), "goldsmith: interrupted\n") {
				t.Errorf("%v: %s", err, said.String())
			}
			list, err := os.ReadDir(dir)
			if err != nil || len(list) != 2 {
				t.Errorf("there is %v %v", list, err)
			}
			if left := sh(t, "losetup -a | grep -F "+dir+" || true; pgrep -af "+image+" | grep -v pgrep || true"); left != "" {
				t.Errorf("still there: %s", left)
			}
		})
	}
}

// awaitSize waits until a file is there and has at least n bytes on the disk.
func awaitSize(t *testing.T, name string, n int64) {
	t.Helper()
	for range 3000 {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err == nil && st.Blocks*512 >= n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s does not grow", name)
}

func sh(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}
