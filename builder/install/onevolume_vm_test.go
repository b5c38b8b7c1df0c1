//go:build vm

package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goldsmith/builder/recipe"
)

// run runs a program as a volume's unit would, on a machine without udev.
func volumeRun(t *testing.T, argv ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DM_DISABLE_UDEV=1", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRun(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := volumeRun(t, argv...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// loopDisk is an empty disk of 400 MB; mkfs.xfs takes no less than 300.
func loopDisk(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	mustRun(t, "truncate", "-s", "400M", file)
	dev := mustRun(t, "losetup", "--find", "--show", file)
	t.Cleanup(func() { mustRun(t, "losetup", "--detach", dev) })
	return dev
}

// A datastore's volume is made of one disk, grown by a second while it is mounted, and a disk that holds something is left alone.
func TestVMVolumeOfRealDisks(t *testing.T) {
	if devices, err := os.ReadFile("/proc/devices"); err != nil || !strings.Contains(string(devices), "device-mapper") {
		t.Skip("the kernel of this machine has no device mapper, so no logical volume can be made")
	}
	dir := t.TempDir()
	group := fmt.Sprintf("gsone%d", os.Getpid())
	first, second, full := loopDisk(t, dir, "first"), loopDisk(t, dir, "second"), loopDisk(t, dir, "full")
	mustRun(t, "mkfs.ext4", "-q", full)
	root := opened(t)
	configure := func(disks ...string) {
		t.Helper()
		edits, units, err := VolumeEdits([]recipe.Volume{{Datastore: 100, Group: group, Disks: disks}})
		if err != nil || len(units) != 1 || units[0] != "one-datastore-volume@100.service" {
			t.Fatalf("%v %v", units, err)
		}
		if _, err := Apply(root, edits); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/etc/one-datastore-volume/100", growScript} {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), []byte(content(t, root, name)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	grow := func() (string, error) {
		t.Helper()
		return volumeRun(t, "env", "ONE_VOLUMES="+dir, filepath.Join(dir, "one-datastore-volume"), "100")
	}
	t.Cleanup(func() { mustRun(t, "vgremove", "--force", "--yes", group) })
	configure(first, "/dev/no-such-disk")
	if out, err := grow(); err != nil || !strings.Contains(out, group+" was made of "+first) || !strings.Contains(out, "/dev/no-such-disk is not there") {
		t.Fatalf("%v\n%s", err, out)
	}
	mount := filepath.Join(dir, "mount")
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	mustRun(t, "mount", "/dev/"+group+"/ds100", mount)
	t.Cleanup(func() { mustRun(t, "umount", mount) })
	if err := os.WriteFile(filepath.Join(mount, "disk.0"), []byte("a guest's disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	size := func() uint64 {
		var st unix.Statfs_t
		if err := unix.Statfs(mount, &st); err != nil {
			t.Fatal(err)
		}
		return st.Blocks * uint64(st.Bsize)
	}
	before := size()
	if out, err := grow(); err != nil || strings.TrimSpace(out) != "datastore 100: /dev/no-such-disk is not there" {
		t.Errorf("again: %v\n%s", err, out)
	}
	configure(first, second, full)
	out, err := grow()
	if err == nil || !strings.Contains(out, second+" was added") || !strings.Contains(out, "was grown") || !strings.Contains(out, full+" is not empty (ext4 )") {
		t.Errorf("%v\n%s", err, out)
	}
	if now := size(); now < before+300<<20 {
		t.Errorf("%d bytes after %d", now, before)
	}
	if got, err := os.ReadFile(filepath.Join(mount, "disk.0")); string(got) != "a guest's disk" {
		t.Errorf("%q %v", got, err)
	}
	if got := mustRun(t, "blkid", "-o", "value", "-s", "TYPE", full); got != "ext4" {
		t.Errorf("the full disk holds %q", got)
	}
}
