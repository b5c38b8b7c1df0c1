//go:build integration

package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

func TestBackingChain(t *testing.T) {
	image := handMade(t, "ext4", gptDisk, "2", "qcow2")
	dir := filepath.Dir(image)
	one, two := filepath.Join(dir, "one.qcow2"), filepath.Join(dir, "two.qcow2")
	if err := CreateOverlay(one, image, OverlayOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := CreateOverlay(two, one, OverlayOptions{Size: 1024 * mib}); err != nil {
		t.Fatal(err)
	}
	must(t, "qemu-img", "check", two)
	must(t, "qemu-img", "compare", image, one)
	base, middle := sum(t, image), sum(t, one)
	editAndCheck(t, two, "2", "ext4")
	if sum(t, image) != base || sum(t, one) != middle {
		t.Error("a backing file was written")
	}
	i, err := OpenDisk(t.Context(), two, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if len(i.Backing) != 2 || i.Backing[0] != one || i.Backing[1] != image || i.Size != 1024*mib {
		t.Errorf("chain is %v, size %d", i.Backing, i.Size)
	}
}

func TestRefusesBackingFilesThatLeadAway(t *testing.T) {
	dir := scratch(t)
	image := filepath.Join(dir, "evil.qcow2")
	must(t, "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", image, "-F", "qcow2", filepath.Join(dir, "other.qcow2"), "1M")
	for _, c := range []struct{ name, backing, format, want string }{
		{"address", "nbd://127.0.0.1/x", "raw", "not a plain file name"},
		{"json", `json:{"driver":"nbd"}`, "raw", "not a plain file name"},
		{"device", "/dev/zero", "raw", "no regular file"},
		{"missing", "nowhere.qcow2", "qcow2", "no such file"},
		{"circle", "other.qcow2", "qcow2", "lead back"},
		{"no format", "evil.qcow2", "", "does not say of which format"},
	} {
		t.Run(c.name, func(t *testing.T) {
			os.Remove(image)
			args := []string{"create", "-q", "-u", "-f", "qcow2", "-b", c.backing}
			if c.format != "" {
				args = append(args, "-F", c.format)
			} else {
				must(t, "qemu-img", "create", "-q", "-f", "qcow2", image, "1M")
				patchBacking(t, image, c.backing)
			}
			if c.format != "" {
				must(t, "qemu-img", append(args, image, "1M")...)
			}
			if _, err := Open(t.Context(), image, Options{ReadOnly: true}); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// patchBacking gives an image a backing file without a format, which qemu-img refuses to make.
func patchBacking(t *testing.T, image, backing string) {
	t.Helper()
	f, err := os.OpenFile(image, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, w := range []struct {
		at   int64
		data []byte
	}{{8, []byte{0, 0, 0, 0, 0, 0, 0x80, 0}}, {16, []byte{0, 0, 0, byte(len(backing))}}, {0x8000, []byte(backing)}} {
		if _, err := f.WriteAt(w.data, w.at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBtrfsSubvolumes(t *testing.T) {
	image := empty(t, scratch(t), 512*mib)
	sfdisk(t, image, gptDisk)
	mkfs(t, image, "2", "btrfs", nil)
	withDevice(t, image, "2", func(_ *Image, dev string) {
		m, err := kernel.New("btrfs", dev, false)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, name := range []string{"@", "@home"} {
			cmd := exec.Command("btrfs", "subvolume", "create", "/proc/self/fd/3/"+name)
			f := os.NewFile(uintptr(dup(t, m.Fd())), "")
			defer f.Close()
			cmd.ExtraFiles = []*os.File{f}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("btrfs: %v\n%s", err, out)
			}
		}
		put(t, tree.At(m.Fd()), map[string]string{"@/etc/os-release": "ID=ubuntu\n", "@/home/": "", "@home/user/file": "mine",
			"@/etc/fstab": "LABEL=none / btrfs subvol=@ 0 0\n/dev/vda2 /home btrfs defaults,subvol=@home 0 0\n"})
	})
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.FS.ReadFile("home/user/file"); err != nil || string(got) != "mine" {
		t.Errorf("home: %q %v", got, err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	fsck(t, image, "2", "btrfs")
}

func dup(t *testing.T, fd int) int {
	t.Helper()
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
