//go:build vm && integration

package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// peer is a program that only `make proof` needs.
func peer(t *testing.T, program, install string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("no %s here: apt-get install %s", program, install)
	}
}

// TestVMEditsWhatVirtResizeMade edits images after virt-resize made them larger: it writes a new partition table, and moves what
// lies behind.
func TestVMEditsWhatVirtResizeMade(t *testing.T) {
	peer(t, "virt-resize", "guestfs-tools linux-image-cloud-amd64")
	for _, fs := range []string{"ext4", "xfs"} {
		t.Run(fs, func(t *testing.T) {
			image := handMade(t, fs, gptDisk, "2", "raw")
			larger := filepath.Join(filepath.Dir(image), "larger.qcow2")
			must(t, "qemu-img", "create", "-q", "-f", "qcow2", larger, "1G")
			cmd := exec.Command("virt-resize", "--quiet", "--expand", "/dev/sda2", "--format", "raw", "--output-format", "qcow2", image, larger)
			cmd.Env = append(os.Environ(), "LIBGUESTFS_BACKEND=direct")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("virt-resize: %v\n%s", err, out)
			}
			editAndCheck(t, larger, "2", fs)
		})
	}
}

// TestVMEditsWhatMkosiMade edits an image of a whole Debian by mkosi.
func TestVMEditsWhatMkosiMade(t *testing.T) {
	peer(t, "mkosi", "mkosi debootstrap")
	dir := scratch(t)
	image := filepath.Join(dir, "debian.raw")
	// Its workspace commands want a service manager, apart from these.
	cmd := exec.Command("mkosi", "--distribution=debian", "--release=bookworm", "--format=gpt_ext4", "--output="+image,
		"--bootable=no", "--with-docs", "--nspawn-keep-unit", "--root-size=1500M", "build")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mkosi: %v\n%s", err, out)
	}
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i.Root != "1" || !i.FS.Exists("usr/bin/dpkg") {
		t.Errorf("the root is %q", i.Root)
	}
	put(t, i.FS, map[string]string{"etc/hostname": "clone\n", "usr/lib/goldsmith/firstboot": "x"})
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	fsck(t, image, "1", "ext4")
}
