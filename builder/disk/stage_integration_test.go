//go:build integration

package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// withoutMounts makes this test binary do its work on an image, in a process that can mount nothing.
const withoutMounts = "GOLDSMITH_TEST_WITHOUT_MOUNTS"

// hosts are the ways in which a host cannot mount.
var hosts = map[string][]string{
	"an ordinary user":  {"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"},
	"root without /dev": {"unshare", "-m", "sh", "-c", `mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && mknod -m 666 /dev/urandom c 1 9 && exec "$@"`, "sh"},
	"root without FUSE": {"unshare", "-m", "sh", "-c", `mount --bind /dev/null /dev/fuse && exec "$@"`, "sh"},
}

// TestEditsWithoutMounts edits images on hosts that can mount nothing, and looks at them with a mount: what was changed
// is, and all else is what it was, to the attribute.
func TestEditsWithoutMounts(t *testing.T) {
	self := reachable(t)
	for host, layout := range map[string]string{"an ordinary user": "gpt raw", "root without /dev": "lvm qcow2", "root without FUSE": "gpt qcow2 overlay"} {
		prefix := hosts[host]
		t.Run(host+"/"+layout, func(t *testing.T) {
			image, root := stagedImage(t, layout)
			before := contents(t, image)
			cmd := exec.Command(prefix[0], append(prefix[1:], self, "-test.run", "^TestWithoutMountsChild$")...)
			cmd.Env = append(os.Environ(), withoutMounts+"="+image, "TMPDIR="+filepath.Dir(image))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.HasSuffix(image, "qcow2") {
				must(t, "qemu-img", "check", image)
			}
			fsck(t, image, root, "ext4")
			after := contents(t, image)
			checkStaged(t, before, after)
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(image), ".goldsmith*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// reachable puts a copy of this binary where everybody may run it.
func reachable(t *testing.T) string {
	t.Helper()
	dir := scratch(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "disk.test")
	must(t, "cp", os.Args[0], bin)
	return bin
}

// stagedImage is an image with one of everything that a copy can lose.
func stagedImage(t *testing.T, layout string) (image, root string) {
	t.Helper()
	dir := scratch(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	source := machine(t, dir)
	image, root = empty(t, dir, 256*mib), "2"
	if layout == "lvm qcow2" {
		sfdisk(t, image, "label: gpt\ntype=lvm\n")
		root = "vg/root"
		withDevice(t, image, "1", func(_ *Image, dev string) {
			lvm2(t, dev, "pvcreate", dev)
			lvm2(t, dev, "vgcreate", "vg", dev)
			lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-L", "64M", "vg")
			lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "gap", "-L", "8M", "vg")
			lvm2(t, dev, "lvextend", "-L", "+120M", "vg/root")
		})
	} else {
		sfdisk(t, image, gptDisk)
	}
	mkfs(t, image, root, "ext4", nil)
	withDevice(t, image, root, func(_ *Image, dev string) {
		m, err := kernel.New("ext4", dev, false)
		if err != nil {
			t.Fatal(err)
		}
		from, err := kernel.CloneTree(source)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Abandon()
		if err := tree.Copy(t.Context(), m.Fd(), from.Fd(), nil); err != nil {
			t.Fatal(err)
		}
		put(t, tree.At(m.Fd()), map[string]string{"etc/os-release": "ID=debian\n", "var/a folder/with \"quotes\"": "x", "etc/fstab": "# none\n"})
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if layout != "gpt raw" {
		must(t, "qemu-img", "convert", "-O", "qcow2", image, image+".qcow2")
		image += ".qcow2"
	}
	if layout == "gpt qcow2 overlay" {
		top := filepath.Join(dir, "top.qcow2")
		if err := CreateOverlay(top, image, OverlayOptions{}); err != nil {
			t.Fatal(err)
		}
		base := sum(t, image)
		t.Cleanup(func() {
			if sum(t, filepath.Join(dir, "disk.raw.qcow2")) != base {
				t.Error("the file that it stands on was written")
			}
		})
		image = top
	}
	if err := os.Chmod(image, 0o666); err != nil {
		t.Fatal(err)
	}
	return image, root
}

// contents mounts an image and describes all that is in it.
func contents(t *testing.T, image string) map[string]string {
	t.Helper()
	i, err := Open(t.Context(), image, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	if i.Caveat() != "" {
		t.Fatalf("this test needs a host that can mount: %s", i.Caveat())
	}
	return describe(t, i.FS)
}

// TestWithoutMountsChild is what the process without mounts does.
func TestWithoutMountsChild(t *testing.T) {
	image := os.Getenv(withoutMounts)
	if image == "" {
		t.Skip("this is a part of TestEditsWithoutMounts")
	}
	for _, o := range []Options{{ReadOnly: true}, {Throwaway: true}, {}} {
		i, err := Open(t.Context(), image, o)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(i.Method, "debugfs, on ") || !strings.Contains(i.Caveat(), "only its ext4 root") {
			t.Errorf("opened by %s", i.Method)
		}
		editStaged(t, i.FS)
		if err := i.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(t.Context(), image, Options{ReadOnly: true, Exact: true}); err == nil || !strings.Contains(err.Error(), "this host cannot mount it") {
		t.Errorf("an exact copy: %v", err)
	}
	if _, err := Grow(t.Context(), image, 600*mib, GrowOptions{}); report.CodeOf(err) != report.Usage {
		t.Errorf("grow: %v", err)
	}
}

// editStaged does one of everything that others do with a root.
func editStaged(t *testing.T, root *tree.FS) {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fail(root.WriteFile("etc/hostname", []byte("clone\n"), 0o644))
	fail(root.WriteFile("usr/bin/ping", []byte("another"), 0o755))
	fail(root.RemoveAll("var/a folder"))
	fail(root.RemoveAll("dev"))
	fail(root.RemoveAll("var/lib/stack/dangling"))
	fail(root.Symlink("/etc/hostname", "var/lib/stack/dangling"))
	fail(root.MkdirAll("usr/lib/goldsmith/new", 0o750))
	fail(root.WriteFile("usr/lib/goldsmith/new/it's \"odd\"", []byte(strings.Repeat("long", 1<<20)), 0o700))
	fail(root.Truncate("var/lib/stack/sparse"))
	fail(root.Chmod("tmp", 0o700))
}

func checkStaged(t *testing.T, before, after map[string]string) {
	t.Helper()
	want := map[string]string{
		"etc/hostname":                       "-rw-r--r-- 0:0 rdev 0 links 1 size 6 user.note=68656c6c6f",
		"usr/bin/ping":                       "-rwxr-xr-x 0:0 rdev 0 links 1 size 7 security.capability=",
		"var/lib/stack/dangling":             "Lrwxrwxrwx 5:6 rdev 0 links 1 size 13 -> /etc/hostname",
		"usr/lib":                            "drwxr-x--- 0:0 rdev 0",
		"usr/lib/goldsmith":                  "drwxr-x--- 0:0 rdev 0",
		"usr/lib/goldsmith/new":              "drwxr-x--- 0:0 rdev 0",
		"usr/lib/goldsmith/new/it's \"odd\"": "-rwx------ 0:0 rdev 0 links 1 size 4194304",
		"var/lib/stack/sparse":               "-rw-r--r-- 0:0 rdev 0 links 1 size 0",
		"tmp":                                "drwx------ 0:0 rdev 0",
	}
	for name, prefix := range want {
		prefix, attr, _ := strings.Cut(prefix, " user.")
		prefix, capability, hasCap := strings.Cut(prefix, " security.")
		if !strings.HasPrefix(after[name], prefix) || !strings.Contains(after[name], attr) || hasCap && !strings.Contains(after[name], capability) {
			t.Errorf("%s is %q, want %q", name, after[name], want[name])
		}
		delete(after, name)
		delete(before, name)
	}
	for name := range before {
		// Folders have new times where something in them is new; the links of what was written anew are fewer.
		if name == "dev" || strings.HasPrefix(name, "dev/") || strings.HasPrefix(name, "var/a folder") {
			if _, ok := after[name]; ok {
				t.Errorf("%s is still there", name)
			}
			delete(before, name)
		}
	}
	for _, m := range []map[string]string{before, after} {
		for name, text := range m {
			if strings.HasPrefix(text, "d") {
				m[name], _, _ = strings.Cut(text, " mtime")
			}
			if name == "usr/bin/ping4" || name == "var/lib/stack/ping6" {
				delete(m, name)
			}
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what nobody changed is not what it was (-before +after):\n%s", diff)
	}
}

// TestWithoutMountsXFS shows what debugfs cannot do: without libguestfs it is refused.
func TestWithoutMountsXFS(t *testing.T) {
	image := handMade(t, "xfs", gptDisk, "2", "raw")
	before := sum(t, image)
	elsewhere(t, image, "^TestWithoutMountsXFSChild$", "PATH="+t.TempDir())
	if sum(t, image) != before {
		t.Error("the image was changed")
	}
}

func TestWithoutMountsXFSChild(t *testing.T) {
	image := os.Getenv(withoutMounts)
	if image == "" {
		t.Skip("this is a part of TestWithoutMountsXFS")
	}
	_, err := Open(t.Context(), image, Options{})
	for _, want := range []string{"this host cannot mount it (loop devices and mounts need root)", "debugfs found no root on ext4", "2 (xfs)", "no guestmount"} {
		if report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

// elsewhere runs a test on an image as an ordinary user.
func elsewhere(t *testing.T, image, test string, env ...string) {
	t.Helper()
	dir := filepath.Dir(image)
	for _, name := range []string{dir, image} {
		if err := os.Chmod(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", reachable(t), "-test.v", "-test.run", test)
	cmd.Env = append(append(os.Environ(), withoutMounts+"="+image, "TMPDIR="+dir), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
