//go:build vm

package driver_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
)

func TestVMLibvirtKeepsTheContractWithASmallGuest(t *testing.T) {
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

// TestVMLibvirtOfAnotherHostKeepsTheContract goes to the libvirtd of this machine by SSH, as if it were another one: the
// image is uploaded into a storage pool, and what the machines say comes back out of it.
func TestVMLibvirtOfAnotherHostKeepsTheContract(t *testing.T) {
	im := guestImage(t)
	bridge := hostBridge(t) // before libvirtd, which hears of later ones by udev only
	libvirtd(t, im)
	uri := sshHost(t)
	pool := fmt.Sprint("goldsmith-test-", os.Getpid())
	virsh(t, uri, "pool-create-as", pool, "dir", "--target", t.TempDir())
	t.Cleanup(func() { exec.Command("virsh", "-q", "-c", "qemu:///system", "pool-destroy", pool).Run() })
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
