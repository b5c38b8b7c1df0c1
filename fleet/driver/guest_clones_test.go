//go:build clones

package driver_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/disk"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
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

func TestQemuKeepsTheContract(t *testing.T) {
	im := guestImage(t)
	lab := vlan.NewLab(fmt.Sprint("suite-guest-", os.Getpid()), netip.MustParsePrefix(vlan.DefaultSubnet), t.TempDir())
	t.Cleanup(func() {
		if err := lab.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := lab.Up(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	drivertest.Run(t, drivertest.Place{
		Driver:    driver.Qemu{},
		Machine:   driver.Machine{Image: im, MAC: "52:54:00:00:00:04", Network: lab.Network, Memory: 128, UUID: "8c5e2b1a-4f0d-4c7e-9a51-0d6f3b7a2e95"},
		Boot:      boot,
		Ticks:     seconds,
		Leftovers: func(t *testing.T, unit string) []string { return drivertest.Traces(t, unit) },
	})
}

func TestLibvirtKeepsTheContract(t *testing.T) {
	im := guestImage(t)
	libvirtd(t, im)
	drivertest.Run(t, drivertest.Place{
		Driver: driver.Libvirt{},
		Machine: driver.Machine{Image: im, MAC: "52:54:00:00:00:05", Network: vlan.Network{Bridge: hostBridge(t)}, Memory: 128,
			UUID: "5b0c7a4e-93d1-4f0e-8a57-b1f6a2c9d3e9"},
		Boot:      boot,
		Ticks:     seconds,
		Leftovers: domains,
	})
}

// TestLibvirtOfAnotherHostKeepsTheContract goes to the libvirtd of this machine by SSH, as if it were another one: the
// image is uploaded into a storage pool, and what the machines say comes back out of it.
func TestLibvirtOfAnotherHostKeepsTheContract(t *testing.T) {
	im := guestImage(t)
	libvirtd(t, im)
	uri := sshHost(t)
	pool := fmt.Sprint("goldsmith-test-", os.Getpid())
	virsh(t, uri, "pool-create-as", pool, "dir", "--target", t.TempDir())
	t.Cleanup(func() { exec.Command("virsh", "-q", "-c", "qemu:///system", "pool-destroy", pool).Run() })
	bridge := hostBridge(t)
	d := driver.Libvirt{}
	place := drivertest.Place{
		Driver: d,
		Machine: driver.Machine{Image: im, MAC: "52:54:00:00:00:06", Network: vlan.Network{Bridge: bridge, Host: uri}, Memory: 128,
			UUID: "5b0c7a4e-93d1-4f0e-8a57-b1f6a2c9d3ea", Connect: uri, Pool: pool},
		Boot:  boot,
		Ticks: seconds,
		Leftovers: func(t *testing.T, unit string) []string {
			left := domains(t, unit)
			for name := range strings.FieldsSeq(virsh(t, uri, "vol-list", pool)) {
				if strings.HasPrefix(name, unit) {
					left = append(left, "volume "+name)
				}
			}
			return left
		},
	}
	t.Run("what is not there is said before anything is made", func(t *testing.T) {
		for _, tt := range []struct {
			change func(*driver.Machine)
			want   string
		}{
			{func(m *driver.Machine) { m.Pool = "nosuch" }, "cannot use the storage pool nosuch"},
			{func(m *driver.Machine) { m.Network.Bridge = "nosuch0" }, "cannot find the bridge nosuch0 at"},
			{func(m *driver.Machine) { m.Connect = strings.Replace(uri, "root@", "nobody-here@", 1) }, "cannot use libvirt at"},
		} {
			m := place.Machine
			tt.change(&m)
			if err := d.Check(t.Context(), m); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		}
	})
	drivertest.Run(t, place)
	if list := virsh(t, uri, "vol-list", pool); strings.Count(list, "goldsmith-guest-") != 4 { // name and path of the image and of its mark
		t.Errorf("the image should be there once, for the next fleet:\n%s", list)
	}
}

func virsh(t *testing.T, uri string, args ...string) string {
	t.Helper()
	out, err := exec.Command("virsh", append([]string{"-q", "-c", uri}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("virsh %v: %v: %s", args, err, out)
	}
	return string(out)
}

// sshHost runs an SSH server on the loopback that lets nobody in but by a key of this test, and returns how libvirt goes
// through it.
func sshHost(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where sshd keeps its unprivileged half
		t.Fatal(err)
	}
	background(t, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", filepath.Join(dir, "host"), "-p", fmt.Sprint(port),
		"-o", "ListenAddress=127.0.0.1", "-o", "AuthorizedKeysFile="+filepath.Join(dir, "user.pub"), "-o", "StrictModes=no",
		"-o", "UsePAM=no", "-o", "PasswordAuthentication=no", "-o", "PermitRootLogin=yes", "-o", "PidFile=none")
	uri := fmt.Sprintf("qemu+ssh://root@127.0.0.1:%d/system?keyfile=%s&no_verify=1&no_tty=1", port, filepath.Join(dir, "user"))
	var why []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if why, err = exec.Command("virsh", "-q", "-c", uri, "version").CombinedOutput(); err == nil {
			return uri
		}
	}
	t.Fatalf("cannot reach libvirtd by SSH: %v: %s", err, why)
	return ""
}
