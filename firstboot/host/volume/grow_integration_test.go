//go:build integration

package volume

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// inSpace names the file system for the test that runs itself in a mount namespace of its own.
const inSpace = "GOLDSMITH_TEST_GROW"

// TestGrowMounted grows real file systems while they are mounted, on a loop device, and the partitions that they are on.
// ext4 and LVM have their turn in a virtual machine: they take a capability and a device mapper that containers lack.
func TestGrowMounted(t *testing.T) {
	if c := os.Getenv(inSpace); c != "" {
		fs, table, _ := strings.Cut(c, " ")
		growMounted(t, fs, table)
		return
	}
	for _, c := range []string{"xfs none", "btrfs none", "xfs gpt", "btrfs dos"} {
		t.Run(c, func(t *testing.T) {
			cmd := exec.Command("unshare", "-m", "--propagation", "private", os.Args[0], "-test.run", "^TestGrowMounted$", "-test.v")
			cmd.Env = append(os.Environ(), inSpace+"="+c)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

func growMounted(t *testing.T, fs, table string) {
	scratch, err := os.MkdirTemp("/var/tmp", "goldsmith-test-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(scratch) })
	image, dir := filepath.Join(scratch, "disk"), filepath.Join(scratch, "mnt")
	check(t, os.Mkdir(dir, 0o755))
	run(t, "truncate", "-s", "400M", image)
	if table != "none" {
		run(t, "sh", "-c", "printf 'label: "+table+"\nsize=1M\nsize=390M\n' | sfdisk -q "+image)
	}
	disk := strings.TrimSpace(run(t, "losetup", "--show", "-fP", image))
	t.Cleanup(func() { run(t, "losetup", "-d", disk) })
	node := disk
	if table != "none" {
		node = partition(t, disk)
	}
	run(t, "mkfs."+fs, "-q", node)
	run(t, "mount", node, dir)
	t.Cleanup(func() { run(t, "umount", dir) })

	before := look(t, dir)
	if before == nil || !before.Full() || before.String() != "all of 400 MiB" || before.Refused != "" {
		t.Fatalf("a file system that fills its disk: %+v", before)
	}
	run(t, "truncate", "-s", "900M", image)
	run(t, "losetup", "-c", disk)
	r := look(t, dir)
	if r.Full() || r.Room() < 490*mib || r.FS != fs {
		t.Fatalf("a larger disk: %+v", r)
	}
	for range 2 {
		check(t, r.Grow(t.Context(), true))
		if r = look(t, dir); !r.Full() {
			t.Errorf("grown: %+v", r)
		}
	}
	if r.Size < 880*mib {
		t.Errorf("it has %d bytes", r.Size)
	}
	if table != "none" {
		run(t, "sync", "-f", dir)
		if out := run(t, "sfdisk", "--verify", image); strings.Contains(out, "overlap") {
			t.Errorf("sfdisk: %s", out)
		}
	}
	if other := look(t, "/proc"); other != nil {
		t.Errorf("/proc could grow: %+v", other)
	}
}

// partition makes the kernel know the second partition, which it does by itself where it reads tables of loop devices.
func partition(t *testing.T, disk string) string {
	t.Helper()
	name := strings.TrimPrefix(disk, "/dev/") + "p2"
	if _, err := os.Stat("/sys/class/block/" + name); err != nil {
		run(t, "addpart", disk, "2", "4096", "798720")
		t.Cleanup(func() { run(t, "delpart", disk, "2") })
	}
	node := "/dev/" + name
	if _, err := os.Stat(node); err != nil {
		text, err := os.ReadFile("/sys/class/block/" + name + "/dev")
		check(t, err)
		major, minor, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
		run(t, "mknod", node, "b", major, minor)
		t.Cleanup(func() { os.Remove(node) })
	}
	return node
}

func look(t *testing.T, dir string) *Root {
	t.Helper()
	r, err := Look(dir)
	check(t, err)
	return r
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return string(out)
}
