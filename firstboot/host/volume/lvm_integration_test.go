//go:build integration

package volume

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSizeOfPhysicalVolume asks of disks that LVM's own tools made, and made larger. The label keeps its first size then.
func TestSizeOfPhysicalVolume(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "goldsmith-test-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	image := filepath.Join(dir, "disk")
	run(t, "truncate", "-s", "400M", image)
	dev := strings.TrimSpace(run(t, "losetup", "--show", "-f", image))
	t.Cleanup(func() { run(t, "losetup", "-d", dev) })
	lvm := func(args ...string) {
		t.Helper()
		config := fmt.Sprintf(`devices { use_devicesfile=0 filter=["a|^%s$|","r|.*|"] } activation { udev_sync=0 udev_rules=0 }`, dev)
		run(t, "lvm", append([]string{args[0], "--driverloaded", "n", "--config", config}, args[1:]...)...)
	}
	size := func(want int64) {
		t.Helper()
		f, err := os.Open(dev)
		check(t, err)
		defer f.Close()
		if got, err := pvSize(f); err != nil || got > want*mib || got < (want-1)*mib { // pvresize leaves out what is before the first extent
			t.Errorf("%d bytes, %v, want %d MiB", got, err, want)
		}
	}
	lvm("pvcreate", dev)
	lvm("vgcreate", "golden-vg", dev)
	size(400)
	lvm("lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-L", "100M", "golden-vg")
	run(t, "truncate", "-s", "900M", image)
	run(t, "losetup", "-c", dev)
	size(400)
	lvm("pvresize", dev)
	size(900)
}
