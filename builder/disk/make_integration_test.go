//go:build integration

package disk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// machine makes a small root tree with one of everything that a copy can lose.
func machine(t *testing.T, dir string) string {
	t.Helper()
	root := filepath.Join(dir, "tree")
	script := `set -eu
mkdir -p $R/etc $R/boot $R/usr/bin $R/var/lib/stack $R/proc $R/dev $R/tmp $R/lost+found
ln -s usr/bin $R/bin
echo kernel >$R/boot/vmlinuz-6.1.0-9-amd64; echo initrd >$R/boot/initrd.img-6.1.0-9-amd64
echo kernel >$R/boot/vmlinuz-6.1.0-56-amd64; echo initrd >$R/boot/initrd.img-6.1.0-56-amd64
echo golden >$R/etc/hostname
printf '/dev/vda1 / ext4 defaults 0 1\ntmpfs /tmp tmpfs defaults 0 0\n' >$R/etc/fstab
printf 'x' >$R/usr/bin/tool; chmod 4755 $R/usr/bin/tool
cp /bin/true $R/usr/bin/ping; setcap cap_net_raw+ep $R/usr/bin/ping
ln $R/usr/bin/ping $R/usr/bin/ping4; ln $R/usr/bin/ping $R/var/lib/stack/ping6
mkdir -m 2750 $R/var/lib/stack/db; chown 123:456 $R/var/lib/stack/db
echo secret >$R/var/lib/stack/db/password; chmod 600 $R/var/lib/stack/db/password; chown 70000:80000 $R/var/lib/stack/db/password
ln -s /etc/nowhere $R/var/lib/stack/dangling; chown -h 5:6 $R/var/lib/stack/dangling
truncate -s 100M $R/var/lib/stack/sparse; echo end >>$R/var/lib/stack/sparse
mknod $R/dev/null c 1 3; mkfifo $R/var/lib/stack/fifo
touch -d 2001-02-03T04:05:06.789 $R/etc/hostname $R/var/lib/stack
chmod 1777 $R/tmp; chmod 755 $R
`
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = append(os.Environ(), "R="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot make tree: %v\n%s", err, out)
	}
	if err := unix.Setxattr(filepath.Join(root, "etc/hostname"), "user.note", []byte("hello"), 0); err != nil {
		t.Fatal(err)
	}
	return root
}

// describe lists what is in a tree, in a form that differs wherever something was lost.
func describe(t *testing.T, root *tree.FS) map[string]string {
	t.Helper()
	got := map[string]string{}
	names := map[uint64]string{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == "lost+found" {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*unixStat)
		line := fmt.Sprintf("%v %d:%d rdev %d", info.Mode(), st.Uid, st.Gid, st.Rdev)
		if !info.IsDir() {
			line += fmt.Sprintf(" links %d size %d", st.Nlink, st.Size)
			if first, ok := names[st.Ino]; ok {
				line += " same as " + first
			} else {
				names[st.Ino] = name
			}
		}
		got[name] = line + content(t, root, name, info)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// content describes what is in a file and beside it.
func content(t *testing.T, root *tree.FS, name string, info fs.FileInfo) string {
	t.Helper()
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := root.ReadLink(name)
		if err != nil {
			t.Fatal(err)
		}
		return " -> " + target
	}
	out := fmt.Sprintf(" mtime %d", info.ModTime().UnixNano())
	for _, attr := range []string{"user.note", "security.capability"} {
		if value, err := root.Xattr(name, attr); err != nil {
			t.Fatal(err)
		} else if value != nil {
			out += fmt.Sprintf(" %s=%x", attr, value)
		}
	}
	if !info.Mode().IsRegular() {
		return out
	}
	f, err := root.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return out + " " + hex.EncodeToString(h.Sum(nil)[:8])
}

// rawDisk converts an image to a raw one, for tools that know no other.
func rawDisk(t *testing.T, image string) string {
	t.Helper()
	raw := image + ".raw"
	must(t, "qemu-img", "convert", "-O", "raw", image, raw)
	return raw
}

func TestMakeKeepsEverything(t *testing.T) {
	dir := scratch(t)
	source := machine(t, dir)
	mountInside(t, filepath.Join(source, "proc"))
	phases := map[string]bool{}
	out := filepath.Join(dir, "golden.qcow2")
	made, err := Make(t.Context(), MakeOptions{Tree: source, Out: out, Size: 512 * mib, Label: "golden",
		Cmdline: "net.ifnames=0", Progress: func(p Progress) { phases[p.Phase] = true }})
	if err != nil {
		t.Fatal(err)
	}

	must(t, "qemu-img", "check", out)
	raw := rawDisk(t, out)
	if got := must(t, "sgdisk", "-v", raw); !strings.Contains(got, "No problems found") {
		t.Errorf("sgdisk -v: %s", got)
	}
	f, err := os.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	loop, err := kernel.Attach(int(f.Fd()), kernel.Window{Offset: rootStart * sectorSize, Size: 509 * mib, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	must(t, "e2fsck", "-fn", loop.Path)
	if got := must(t, "blkid", "-p", "-o", "export", loop.Path); !strings.Contains(got, "UUID="+made.RootUUID) ||
		!strings.Contains(got, "LABEL=golden") {
		t.Errorf("blkid: %s", got)
	}

	mount, err := kernel.New("ext4", loop.Path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer mount.Abandon()
	got := describe(t, tree.At(mount.Fd()))
	for _, name := range []string{"etc/fstab", "boot/grub", "boot/grub/grub.cfg", "boot", "etc"} {
		delete(got, name) // written on purpose
	}
	want := describeBelowMounts(t, source)
	for _, name := range []string{"etc/fstab", "boot", "etc"} {
		delete(want, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the image differs from the tree (-tree +image):\n%s", diff)
	}
	checkBootFiles(t, tree.At(mount.Fd()), made)
	checkSparse(t, tree.At(mount.Fd()))
	for _, phase := range []string{"copy tree", "convert", "digest"} {
		if !phases[phase] {
			t.Errorf("no progress was told for %q", phase)
		}
	}
}

// mountInside mounts something in the tree that must not get into the image.
func mountInside(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("cannot unmount: %v", err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "of-the-host"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func describeBelowMounts(t *testing.T, dir string) map[string]string {
	t.Helper()
	m, err := kernel.CloneTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Abandon()
	return describe(t, tree.At(m.Fd()))
}

func checkBootFiles(t *testing.T, root *tree.FS, made Made) {
	t.Helper()
	fstab, err := root.ReadFile("etc/fstab")
	if err != nil {
		t.Fatal(err)
	}
	want := "UUID=" + made.RootUUID + " / ext4 errors=remount-ro 0 1\ntmpfs /tmp tmpfs defaults 0 0\n"
	if diff := cmp.Diff(want, string(fstab)); diff != "" {
		t.Errorf("fstab (-want +got):\n%s", diff)
	}
	cfg, err := root.ReadFile("boot/grub/grub.cfg")
	if err != nil {
		t.Fatal(err)
	}
	first := "linux /boot/vmlinuz-6.1.0-56-amd64 root=UUID=" + made.RootUUID + " ro console=tty0 console=ttyS0,115200 net.ifnames=0\n"
	if _, rest, ok := strings.Cut(string(cfg), first); !ok || strings.Contains(rest, "-56-") && !strings.Contains(rest, "-9-") {
		t.Errorf("grub.cfg does not boot the newest kernel first:\n%s", cfg)
	}
	if made.Kernel != "6.1.0-56-amd64" {
		t.Errorf("kernel is %s", made.Kernel)
	}
}

func checkSparse(t *testing.T, root *tree.FS) {
	t.Helper()
	info, err := root.Stat("var/lib/stack/sparse")
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*unixStat); st.Blocks*512 > mib {
		t.Errorf("a file of one hole takes %d bytes", st.Blocks*512)
	}
}

func TestMakeRefusesAndLeavesNothing(t *testing.T) {
	dir := scratch(t)
	source := machine(t, dir)
	bare := filepath.Join(dir, "bare")
	if err := os.Mkdir(bare, 0o755); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	taken := filepath.Join(dir, "taken.qcow2")
	if err := os.WriteFile(taken, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.qcow2")
	for _, c := range []struct {
		name string
		ctx  context.Context
		opt  MakeOptions
		want string
	}{
		{"no tree", t.Context(), MakeOptions{Tree: filepath.Join(dir, "none"), Out: out}, "is no directory"},
		{"format", t.Context(), MakeOptions{Tree: source, Out: out, Format: "vdi"}, `format "vdi"`},
		{"label", t.Context(), MakeOptions{Tree: source, Out: out, Label: "12345678901234567"}, "longer than 16"},
		{"command line", t.Context(), MakeOptions{Tree: source, Out: out, Cmdline: "a'b"}, "GRUB would interpret"},
		{"too small", t.Context(), MakeOptions{Tree: source, Out: out, Size: 8 * mib}, "is too small"},
		{"no room", t.Context(), MakeOptions{Tree: source, Out: "/proc/out.qcow2"}, "are free"},
		{"exists", t.Context(), MakeOptions{Tree: source, Out: taken}, "it exists"},
		{"no kernel", t.Context(), MakeOptions{Tree: bare, Out: out, Size: 256 * mib}, "no kernel"},
		{"cancelled", cancelled, MakeOptions{Tree: source, Out: out}, "context canceled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Make(c.ctx, c.opt)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			if c.want != "context canceled" && report.CodeOf(err) != report.Usage {
				t.Errorf("exit code %d for %v", report.CodeOf(err), err)
			}
			checkOnly(t, dir, "bare", "taken.qcow2", "tree")
		})
	}
	if got, _ := os.ReadFile(taken); string(got) != "precious" {
		t.Errorf("the existing image was written")
	}
}

// checkOnly fails when a directory holds anything else than names.
func checkOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("something was left behind (-want +got):\n%s", diff)
	}
	if out := must(t, "losetup", "-a"); strings.Contains(out, dir) {
		t.Errorf("a loop device was left behind: %s", out)
	}
}

func TestMakeStopsInTheMiddle(t *testing.T) {
	for _, phase := range []string{"copy tree", "write back", "install boot loader", "convert"} {
		t.Run(phase, func(t *testing.T) {
			dir := scratch(t)
			source := machine(t, dir)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := Make(ctx, MakeOptions{Tree: source, Out: filepath.Join(dir, "out.qcow2"), Size: 512 * mib,
				Progress: func(p Progress) {
					if p.Phase == phase {
						cancel()
					}
				}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			checkOnly(t, dir, "tree")
		})
	}
}
