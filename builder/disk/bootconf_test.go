package disk

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/tree"
)

func TestFstab(t *testing.T) {
	const root = "UUID=u / ext4 errors=remount-ro 0 1\n"
	for _, c := range []struct{ name, old, want string }{
		{"none", "", root},
		{"unconfigured", "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", root},
		{"root is replaced", "/dev/vda1  /  xfs defaults 0 0\n", root},
		{"the rest stays", "# mine\n/dev/sdb /data ext4 defaults 0 2\n", root + "# mine\n/dev/sdb /data ext4 defaults 0 2\n"},
		{"a comment that looks like root stays", "#/dev/vda1 / ext4\n", root + "#/dev/vda1 / ext4\n"},
	} {
		if got := fstab(c.old, "u"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if once := fstab(c.old, "u"); fstab(once, "u") != once {
			t.Errorf("%s: not the same when done twice", c.name)
		}
	}
}

func TestNewestKernelFirst(t *testing.T) {
	got := []string{"5.9.0-1", "6.1.0-9-amd64", "5.10.0-30", "6.1.0-56-amd64", "6.1.0-56-cloud-amd64", "6.1"}
	slices.SortFunc(got, func(a, b string) int { return compareVersions(b, a) })
	want := []string{"6.1.0-56-cloud-amd64", "6.1.0-56-amd64", "6.1.0-9-amd64", "6.1", "5.10.0-30", "5.9.0-1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("6.1.0-9", "6.1.0-10")
	f.Add("", "a1")
	f.Add("00", "0")
	f.Fuzz(func(t *testing.T, a, b string) {
		if compareVersions(a, a) != 0 {
			t.Errorf("%q is not itself", a)
		}
		if x, y := compareVersions(a, b), compareVersions(b, a); x != -y {
			t.Errorf("%q and %q: %d, the other way round %d", a, b, x, y)
		}
	})
}

// treeOf makes a directory with files: name to content.
func treeOf(t *testing.T, files map[string]string) *tree.FS {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestFindKernels(t *testing.T) {
	root := treeOf(t, map[string]string{
		"boot/vmlinuz-5.14.0-1.el9.x86_64": "", "boot/initramfs-5.14.0-1.el9.x86_64.img": "",
		"boot/vmlinuz-0-rescue-abc": "", "boot/initramfs-0-rescue-abc.img": "",
		"boot/vmlinuz-5.14.0-9.el9.x86_64": "", // no ram disk
		"boot/vmlinuz-5.14.0-2.el9.x86_64": "", "boot/initramfs-5.14.0-2.el9.x86_64.img": "",
	})
	got, err := findKernels(root)
	if err != nil {
		t.Fatal(err)
	}
	var versions []string
	for _, k := range got {
		versions = append(versions, k.version)
	}
	if diff := cmp.Diff([]string{"5.14.0-2.el9.x86_64", "5.14.0-1.el9.x86_64"}, versions); diff != "" {
		t.Errorf("kernels (-want +got):\n%s", diff)
	}
	if _, err := findKernels(treeOf(t, nil)); err == nil || !strings.Contains(err.Error(), "no kernel") {
		t.Errorf("an empty tree: %v", err)
	}
}

func TestDebianBootsThroughItsLinks(t *testing.T) {
	root := treeOf(t, map[string]string{"vmlinuz": "", "initrd.img": ""})
	if err := writeGRUBConfig(root, []bootKernel{{"6.1", "boot/vmlinuz-6.1", "boot/initrd.img-6.1"}}, "root=UUID=u", "quiet"); err != nil {
		t.Fatal(err)
	}
	got, err := root.ReadFile("boot/grub/grub.cfg")
	if err != nil {
		t.Fatal(err)
	}
	want := grubHead + `menuentry 'Linux newest' {
  linux /vmlinuz root=UUID=u quiet
  initrd /initrd.img
}
menuentry 'Linux 6.1' {
  linux /boot/vmlinuz-6.1 root=UUID=u quiet
  initrd /boot/initrd.img-6.1
}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("grub.cfg (-want +got):\n%s", diff)
	}
}
