//go:build integration

package disk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
)

// The images in these tests are made by the tools that everybody uses: sgdisk, sfdisk, mkfs.*, lvm2, qemu-img.

// empty makes a sparse raw disk.
func empty(t *testing.T, dir string, size int64) string {
	t.Helper()
	name := filepath.Join(dir, "disk.raw")
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	return name
}

// sfdisk partitions a disk by a script.
func sfdisk(t *testing.T, image, script string) {
	t.Helper()
	cmd := exec.Command("sfdisk", "-q", image)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
}

// mkfs makes a file system by its own tool on a volume of an image and puts files into it; a name that ends in a slash
// is a directory.
func mkfs(t *testing.T, image, volume, fs string, files map[string]string) {
	t.Helper()
	withDevice(t, image, volume, func(i *Image, dev string) {
		switch fs {
		case "xfs":
			must(t, "mkfs.xfs", "-q", "-f", dev)
		case "btrfs":
			must(t, "mkfs.btrfs", "-q", "-f", dev)
		default:
			must(t, "mkfs."+fs, "-q", "-F", dev)
		}
		m, err := kernel.New(fs, dev, false)
		if err != nil {
			t.Fatal(err)
		}
		put(t, tree.At(m.Fd()), files)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func put(t *testing.T, root *tree.FS, files map[string]string) {
	t.Helper()
	for name, data := range files {
		dir := filepath.Dir(name)
		if strings.HasSuffix(name, "/") {
			dir = name
		}
		if err := root.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			continue
		}
		if err := root.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// withDevice gives do a block device of a volume.
func withDevice(t *testing.T, image, volume string, do func(i *Image, dev string)) {
	t.Helper()
	i, err := OpenDisk(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range i.Volumes {
		if v.Name != volume {
			continue
		}
		m, err := i.attach(v, false)
		if err != nil {
			t.Fatal(err)
		}
		do(i, m.loop.Path)
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("%s has no volume %s, only %+v", image, volume, i.Volumes)
}

// fsck checks a volume by the checker of its file system, which changes nothing.
func fsck(t *testing.T, image, volume, fs string) {
	t.Helper()
	withDevice(t, image, volume, func(_ *Image, dev string) {
		switch fs {
		case "xfs":
			must(t, "xfs_repair", "-n", dev)
		case "btrfs":
			must(t, "btrfs", "check", "--readonly", dev)
		default:
			must(t, "e2fsck", "-fn", dev)
		}
	})
}

// lvm runs lvm2 on the devices given and on no other, without the device mapper.
func lvm2(t *testing.T, dev, command string, args ...string) string {
	t.Helper()
	config := fmt.Sprintf(`devices { use_devicesfile=0 filter=["a|^%s$|","r|.*|"] } activation { udev_sync=0 udev_rules=0 }`, dev)
	return must(t, "lvm", append([]string{command, "--driverloaded", "n", "--config", config}, args...)...)
}

// osFiles is what makes a file system a root.
func osFiles(more map[string]string) map[string]string {
	files := map[string]string{"etc/os-release": "ID=debian\n", "usr/bin/": "", "sbin/": "", "var/": "", "etc/hostname": "golden\n"}
	for k, v := range more {
		files[k] = v
	}
	return files
}

// freeBytes is what the root file system has left.
func freeBytes(t *testing.T, i *Image) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Fstatfs(i.FS.Fd(), &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bfree) * st.Bsize
}
