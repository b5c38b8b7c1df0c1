//go:build integration

package disk

import (
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

const (
	gptDisk = "label: gpt\nsize=1M, type=21686148-6449-6E6F-744E-656564454649\ntype=linux\n"
	mbrDisk = "label: dos\nsize=20M, type=c\nsize=10M, type=83\ntype=5\nsize=5M, type=82\ntype=83\n"
)

// layouts are the ways in which tools lay out a disk.
var layouts = []struct {
	name, script, root string
}{
	{"gpt", gptDisk, "2"},
	{"mbr logical", mbrDisk, "6"},
	{"no table", "", "disk"},
}

func TestEditsWhatOtherToolsMade(t *testing.T) {
	for _, fs := range []string{"ext4", "ext2", "xfs", "btrfs"} {
		for _, l := range layouts {
			for _, format := range []string{"raw", "qcow2"} {
				t.Run(fs+"/"+l.name+"/"+format, func(t *testing.T) {
					image := handMade(t, fs, l.script, l.root, format)
					editAndCheck(t, image, l.root, fs)
				})
			}
		}
	}
}

// handMade makes an image with one root file system.
func handMade(t *testing.T, fs, script, root, format string) string {
	t.Helper()
	dir := scratch(t)
	image := empty(t, dir, 512*mib)
	if script != "" {
		sfdisk(t, image, script)
	}
	mkfs(t, image, root, fs, osFiles(nil))
	if format == "raw" {
		return image
	}
	out := filepath.Join(dir, "disk."+format)
	must(t, "qemu-img", "convert", "-O", format, image, out)
	if err := os.Remove(image); err != nil {
		t.Fatal(err)
	}
	return out
}

// editAndCheck writes into an image, closes it, checks it, and reads it again.
func editAndCheck(t *testing.T, image, root, fs string) {
	t.Helper()
	began := time.Now()
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i.Root != root {
		t.Errorf("root is %q, want %q", i.Root, root)
	}
	if err := i.FS.WriteFile("/etc/hostname", []byte("clone\n"), 0o644); err != nil {
		t.Error(err)
	}
	if err := i.FS.Remove("/etc/os-release"); err != nil {
		t.Error(err)
	}
	if err := i.FS.WriteFile("/usr/lib/os-release", []byte("moved\n"), 0o644); err == nil {
		t.Error("a file was written into a directory that does not exist")
	}
	put(t, i.FS, map[string]string{"usr/lib/os-release": "ID=debian\n"})
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("edited in %s", time.Since(began))
	if strings.HasSuffix(image, "qcow2") {
		must(t, "qemu-img", "check", image)
	}
	fsck(t, image, root, fs)

	i, err = Open(t.Context(), image, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.FS.ReadFile("etc/hostname"); err != nil || string(got) != "clone\n" {
		t.Errorf("host name is %q, %v", got, err)
	}
	if err := i.FS.WriteFile("etc/hostname", nil, 0o644); err == nil {
		t.Error("a read-only image was written")
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	if out := must(t, "losetup", "-a"); strings.Contains(out, filepath.Dir(image)) {
		t.Errorf("a loop device was left behind: %s", out)
	}
}

func TestReadsOtherFormats(t *testing.T) {
	dir := scratch(t)
	image := empty(t, dir, 256*mib)
	sfdisk(t, image, gptDisk)
	mkfs(t, image, "2", "ext4", osFiles(nil))
	for _, c := range []struct{ file, format, options string }{
		{"disk.vmdk", "vmdk", "subformat=monolithicSparse"},
		{"stream.vmdk", "vmdk", "subformat=streamOptimized"},
		{"flat.vmdk", "vmdk", "subformat=monolithicFlat"},
		{"split.vmdk", "vmdk", "subformat=twoGbMaxExtentSparse"},
		{"disk.vdi", "vdi", ""},
		{"disk.vhdx", "vhdx", ""},
		{"disk.vhd", "vpc", "force_size=on"},
		{"fixed.vhd", "vpc", "subformat=fixed,force_size=on"},
		{"old.qcow2", "qcow2", "compat=0.10"},
		{"ext.qcow2", "qcow2", "extended_l2=on,compression_type=zstd"},
	} {
		t.Run(c.file, func(t *testing.T) {
			out := filepath.Join(dir, c.file)
			args := []string{"convert", "-O", c.format, image, out}
			if c.options != "" {
				args = append(args, "-o", c.options)
			}
			must(t, "qemu-img", args...)
			readsHostname(t, out)
			if c.format == "qcow2" {
				return
			}
			if _, err := Open(t.Context(), out, Options{}); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "can only be read") {
				t.Errorf("opening it for writing: %v", err)
			}
		})
	}
	must(t, "tar", "-C", dir, "-cf", filepath.Join(dir, "vm.ova"), "--format=ustar", "stream.vmdk")
	readsHostname(t, filepath.Join(dir, "vm.ova"))
}

func readsHostname(t *testing.T, image string) {
	t.Helper()
	before := sum(t, image)
	for _, o := range []Options{{ReadOnly: true}, {Throwaway: true}} {
		i, err := Open(t.Context(), image, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := i.FS.ReadFile("etc/hostname"); err != nil || string(got) != "golden\n" {
			t.Errorf("host name is %q, %v", got, err)
		}
		if o.Throwaway {
			if err := i.FS.WriteFile("etc/hostname", []byte("lost"), 0o644); err != nil {
				t.Errorf("cannot write into the throwaway overlay: %v", err)
			}
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	}
	if sum(t, image) != before {
		t.Errorf("%s was changed", image)
	}
}

func sum(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return string(h.Sum(nil))
}

func TestLVMRootInPieces(t *testing.T) {
	for _, fs := range []string{"ext4", "xfs"} {
		for _, format := range []string{"raw", "qcow2"} {
			t.Run(fs+"/"+format, func(t *testing.T) {
				image := lvmImage(t, fs)
				if format == "qcow2" {
					must(t, "qemu-img", "convert", "-O", "qcow2", image, image+".qcow2")
					image += ".qcow2"
				}
				editAndCheck(t, image, "golden-vg/root", fs)
				checkVarIsMounted(t, image)
			})
		}
	}
}

// lvmImage makes a disk like those of EL's installer: /boot on a partition, / and /var on logical volumes; the root was
// extended after /var was made, so it is in two pieces.
func lvmImage(t *testing.T, fs string) string {
	t.Helper()
	image := empty(t, scratch(t), 2048*mib)
	sfdisk(t, image, "label: gpt\nsize=64M, type=linux\ntype=lvm\n")
	withDevice(t, image, "2", func(_ *Image, dev string) {
		lvm2(t, dev, "pvcreate", dev)
		lvm2(t, dev, "vgcreate", "golden-vg", dev)
		for _, lv := range [][]string{{"root", "320M"}, {"var", "320M"}, {"swap_1", "32M"}} {
			lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", lv[0], "-L", lv[1], "golden-vg")
		}
		lvm2(t, dev, "lvextend", "-L", "+320M", "golden-vg/root")
		lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "raid", "--type", "striped", "-i", "1", "-L", "32M", "golden-vg")
	})
	mkfs(t, image, "1", "ext4", map[string]string{"vmlinuz": "kernel"})
	mkfs(t, image, "golden-vg/var", fs, map[string]string{"lib/stack/state": "state"})
	mkfs(t, image, "golden-vg/root", fs, osFiles(map[string]string{"boot/": "", "etc/fstab": `
/dev/mapper/golden--vg-root / auto defaults 0 0
/dev/golden-vg/var /var auto defaults 0 0
/dev/vda1 /boot ext4 defaults 0 0
/dev/mapper/golden--vg-swap_1 none swap sw 0 0
`}))
	return image
}

func checkVarIsMounted(t *testing.T, image string) {
	t.Helper()
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"var/lib/stack/state": "state", "boot/vmlinuz": "kernel"} {
		if got, err := i.FS.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v", name, got, err)
		}
	}
	if err := i.FS.Symlink("../../../var/lib/stack", "usr/bin/link"); err != nil {
		t.Error(err)
	}
	if err := i.FS.WriteFile("usr/bin/link/state", []byte("new"), 0o644); err != nil {
		t.Error(err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	i, err = Open(t.Context(), image, Options{ReadOnly: true, Root: "golden-vg/root"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.FS.ReadFile("/var/lib/stack/state"); err != nil || string(got) != "new" {
		t.Errorf("state is %q, %v", got, err)
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
}

// dirtyImage is one whose machine was killed: the journal holds what the file system does not.
func dirtyImage(t *testing.T) string {
	t.Helper()
	image := handMade(t, "ext4", gptDisk, "2", "raw")
	// The file is copied while the file system is mounted and a journal commit is on the disk.
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := kernel.Attach(int(f.Fd()), kernel.Window{Offset: 2 * mib})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	m, err := kernel.New("ext4", loop.Path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Abandon()
	root := tree.At(m.Fd())
	put(t, root, map[string]string{"etc/only-in-the-journal": "yes"})
	file, err := root.OpenFile("etc/only-in-the-journal", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	dirty := image + ".dirty"
	must(t, "cp", image, dirty)
	return dirty
}

func TestDirtyJournal(t *testing.T) {
	image := dirtyImage(t)
	before := sum(t, image)
	if _, err := Open(t.Context(), image, Options{ReadOnly: true}); report.CodeOf(err) != report.Usage ||
		!strings.Contains(err.Error(), "journal was not written back") {
		t.Fatalf("read-only: %v", err)
	}
	for _, o := range []Options{{Throwaway: true}, {}} {
		i, err := Open(t.Context(), image, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := i.FS.ReadFile("etc/only-in-the-journal"); err != nil || string(got) != "yes" {
			t.Errorf("%+v: the journal was not replayed: %q %v", o, got, err)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		if o.Throwaway && sum(t, image) != before {
			t.Error("the image was changed by a throwaway open")
		}
	}
	fsck(t, image, "2", "ext4")
}

func TestImageInUse(t *testing.T) {
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			image := handMade(t, "ext4", gptDisk, "2", format)
			vm := exec.Command("qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-S", "-display", "none", "-nodefaults", "-monitor", "stdio",
				"-drive", "if=virtio,format="+format+",file="+image)
			in, err := vm.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := vm.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := vm.Start(); err != nil {
				t.Fatal(err)
			}
			awaitDisk(t, in, out, filepath.Base(image))
			for _, o := range []Options{{}, {ReadOnly: true}, {Throwaway: true}} {
				if _, err := Open(t.Context(), image, o); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "is in use") {
					t.Errorf("%+v: %v", o, err)
				}
			}
			if _, err := io.WriteString(in, "quit\n"); err != nil {
				t.Fatal(err)
			}
			if err := vm.Wait(); err != nil {
				t.Fatal(err)
			}
			i, err := Open(t.Context(), image, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close()
			if msg, err := exec.Command("qemu-io", "-f", format, "-c", "read 0 512", image).CombinedOutput(); err == nil {
				t.Errorf("qemu opened an image that we were writing: %s", msg)
			}
		})
	}
}

// awaitDisk asks the monitor of a machine for its disks until it names the image; the prompt comes before they are open.
func awaitDisk(t *testing.T, in io.Writer, out io.Reader, image string) {
	t.Helper()
	if _, err := io.WriteString(in, "info block\n"); err != nil {
		t.Fatal(err)
	}
	var said string
	for buf := make([]byte, 1024); !strings.Contains(said, "/"+image); {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("qemu: %v: %s", err, said)
		}
		said += string(buf[:n])
	}
}

func TestMountsAreNotSeenByOthers(t *testing.T) {
	image := handMade(t, "ext4", gptDisk, "2", "qcow2")
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	during, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(during) {
		t.Errorf("the host's mount table changed")
	}
	// A container that starts now copies the mount table and lives on.
	other := exec.Command("unshare", "-m", "sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	time.Sleep(50 * time.Millisecond)
	put(t, i.FS, map[string]string{"etc/new": "x"})
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, "qemu-img", "check", image)
	fsck(t, image, "2", "ext4")
}
