//go:build clones || vm

package driver_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"goldsmith/builder/disk"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
)

// guestImage makes a disk of the small guest. Its kernel does not check its timer, which is late on a busy host. Its machine needs no image of a bench, and seconds where others need minutes.
func guestImage(t *testing.T) driver.Image {
	t.Helper()
	tree := drivertest.GuestTree(t)
	path := filepath.Join(t.TempDir(), "guest.qcow2")
	if _, err := disk.Make(t.Context(), disk.MakeOptions{Tree: tree, Out: path, Fast: true, Cmdline: "quiet no_timer_check"}); err != nil {
		t.Fatal(err)
	}
	return driver.Image{Name: "guest", Root: tree, Disk: path}
}

// boot is how long the small guest may take on a machine that does other things as well.
const boot = 3 * time.Minute

var second = regexp.MustCompile(`(?m)^second (\d+)\r?$`)

// seconds reads what the small guest counts aloud.
func seconds(t *testing.T, m driver.Machine) []int {
	t.Helper()
	log, err := os.ReadFile(m.Console())
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, found := range second.FindAllStringSubmatch(string(log), -1) {
		n, _ := strconv.Atoi(found[1])
		out = append(out, n)
	}
	return out
}
