//go:build vm && integration

package disk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/implant"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// TestVMClonesGrow gives clones larger disks than their images have, and looks whether firstboot takes them, on line: the
// partition, LVM, the file system. The machine asks twice; the second time there is nothing left to do.
func TestVMClonesGrow(t *testing.T) {
	bin := buildFirstboot(t, "")
	for _, c := range []struct {
		name, root, fs string
		make           func(t *testing.T, dir, tree string) (image, format string, qemu []string)
	}{
		{"gpt ext4 by its own loader", "1", "ext4", clonedFromMake},
		{"mbr xfs", "1", "xfs", func(t *testing.T, dir, source string) (string, string, []string) {
			image := empty(t, dir, 2048*mib)
			sfdisk(t, image, "label: dos\ntype=83\n")
			fillVolume(t, image, "1", "xfs", source)
			return image, formatRaw, direct(source, "/dev/vda1")
		}},
		{"lvm ext4", "golden-vg/root", "ext4", clonedOnLVM},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := scratch(t)
			image, format, qemu := c.make(t, dir, growingTree(t, dir, bin, growTwice))
			log := bootLonger(t, image, format, qemu)
			for _, want := range []string{"disk +size:/: \\d+ MiB of 5000 -> all of 5000 MiB", "size /: 1 changes", "second time: 0 changes",
				"the root has (39|[45]\\d)\\d\\dM"} {
				if !regexp.MustCompile(want).MatchString(log) {
					t.Errorf("the console lacks %q", want)
				}
			}
			if t.Failed() {
				t.Fatalf("the machine said:\n%s", log)
			}
			checkGrown(t, image, c.root, c.fs)
		})
	}
}

// TestVMGrowthIsCut kills firstboot at every step of its way, one after the other, without a repair in between, on the
// layout that has most of them. What a last run leaves must be what one run makes.
func TestVMGrowthIsCut(t *testing.T) {
	dir := scratch(t)
	image, format, qemu := clonedOnLVM(t, dir, growingTree(t, dir, buildFirstboot(t, "killmatrix,"), growCut))
	log := bootLonger(t, image, format, qemu)
	if n := strings.Count(log, "was cut"); n < 7 || !strings.Contains(log, "second time: 0 changes") {
		t.Fatalf("it was cut %d times:\n%s", n, log)
	}
	checkGrown(t, image, "golden-vg/root", "ext4")
}

const firstbootSays = "B=/usr/lib/goldsmith/firstboot; "

const growTwice = firstbootSays + "$B plan --phase local; $B apply --phase local --boot; echo second time: $($B plan --phase local); " +
	"$B verify --phase local; echo the root has $(df -BM --output=size / | tail -1)"

// growCut kills the n-th run at its n-th step, from the first on; runs that got further than they were cut end it.
const growCut = firstbootSays + "n=0; while n=$((n+1)); test $n -lt 60; do GOLDSMITH_UNITS=/run/ledger GOLDSMITH_CUT=$n $B apply --phase local && break; " +
	"echo run $n was cut; done; $B apply --phase local; echo second time: $($B plan --phase local); cat /var/lib/goldsmith/report.txt"

// buildFirstboot builds the real binary.
func buildFirstboot(t *testing.T, tags string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "firstboot")
	cmd := exec.Command("go", "build", "-tags", tags+"urfave_cli_no_docs,urfave_cli_no_suggest", "-o", bin, "goldsmith/cmd/firstboot")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// growingTree is a Debian with firstboot in it that runs a line of shell when it is up. Its own units stay off, so that the
// line sees the disk as it was.
func growingTree(t *testing.T, dir, bin, line string) string {
	t.Helper()
	target, root := copyOfTree(t, debianTree(t), dir)
	imp := identity.Imprint{Format: identity.ImprintFormat, Image: "growing", Baked: identity.Marker(), Stacks: []string{}}
	if _, err := (implant.Implant{Binary: bin, Imprint: imp}).Put(root); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("etc/hostname", []byte("growing\n"), 0o644); err != nil { // the name that the clone takes anyway
		t.Fatal(err)
	}
	for _, unit := range []string{"goldsmith-local.service", "goldsmith-stack.service", "goldsmith-watch.service", "goldsmith-watch.socket"} {
		if err := root.RemoveAll("etc/systemd/system/" + unit); err != nil {
			t.Fatal(err)
		}
		if err := root.Symlink("/dev/null", "etc/systemd/system/"+unit); err != nil {
			t.Fatal(err)
		}
	}
	addUnit(t, root, line)
	return target
}

// clonedFromMake is what clones of baked images are: an overlay, larger than the image below.
func clonedFromMake(t *testing.T, dir, source string) (string, string, []string) {
	t.Helper()
	golden, clone := filepath.Join(dir, "golden.qcow2"), filepath.Join(dir, "clone.qcow2")
	if _, err := Make(t.Context(), MakeOptions{Tree: source, Out: golden, Size: 2 << 30, Fast: true}); err != nil {
		t.Fatal(err)
	}
	if err := CreateOverlay(clone, golden, OverlayOptions{Size: 5000 * mib}); err != nil {
		t.Fatal(err)
	}
	return clone, formatQcow2, nil
}

func clonedOnLVM(t *testing.T, dir, source string) (string, string, []string) {
	t.Helper()
	image := empty(t, dir, 2600*mib)
	sfdisk(t, image, "label: gpt\nsize=64M, type=linux\ntype=lvm\n")
	withDevice(t, image, "2", func(_ *Image, dev string) {
		lvm2(t, dev, "pvcreate", dev)
		lvm2(t, dev, "vgcreate", "golden-vg", dev)
		lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-L", "1600M", "golden-vg")
		lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "swap_1", "-l", "100%FREE", "golden-vg")
	})
	fillVolume(t, image, "golden-vg/root", "ext4", source)
	return image, formatRaw, direct(source, "/dev/mapper/golden--vg-root")
}

// fillVolume makes a file system on a volume, copies the tree into it and makes the disk larger.
func fillVolume(t *testing.T, image, volume, fs, source string) {
	t.Helper()
	mkfs(t, image, volume, fs, nil)
	withDevice(t, image, volume, func(_ *Image, dev string) {
		m, err := kernel.New(fs, dev, false)
		if err != nil {
			t.Fatal(err)
		}
		from, err := kernel.CloneTree(source)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Abandon()
		if err := tree.Copy(t.Context(), tree.At(m.Fd()).Fd(), from.Fd(), nil); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
	if err := os.Truncate(image, 5000*mib); err != nil {
		t.Fatal(err)
	}
}

// direct boots without a loader.
func direct(source, root string) []string {
	return []string{"-kernel", filepath.Join(source, "vmlinuz"), "-initrd", filepath.Join(source, "initrd.img"),
		"-append", "root=" + root + " rw console=ttyS0"}
}

func bootLonger(t *testing.T, image, format string, qemu []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	return boot(ctx, t, image, format, qemu...)
}

// checkGrown looks from outside.
func checkGrown(t *testing.T, image, root, fs string) {
	t.Helper()
	fsck(t, image, root, fs)
	i, err := Open(t.Context(), image, Options{ReadOnly: true, Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	v, _ := i.byName(root)
	if last := i.last(); last.Offset+last.Size < 4998*mib || v.Size < 3900*mib {
		t.Errorf("the last partition is %+v, the root %+v", last, v)
	}
	if free := freeBytes(t, i); free < 2500*mib {
		t.Errorf("%s are free", Bytes(free))
	}
	if i.Format != formatRaw {
		return
	}
	if out, err := exec.Command("sfdisk", "--verify", image).CombinedOutput(); err != nil {
		t.Error(fmt.Errorf("sfdisk: %w: %s", err, out))
	}
}
