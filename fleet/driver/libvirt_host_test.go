//go:build vm

package driver_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/vm/qemu"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/process"
)

// domains lists what is left of a machine, domains that bear its name included.
func domains(t *testing.T, unit string) []string {
	t.Helper()
	out, err := exec.Command("virsh", "-q", "-c", "qemu:///system", "list", "--all", "--name").Output()
	if err != nil {
		t.Error(err)
	}
	left := drivertest.Traces(t, unit)
	for _, name := range strings.Fields(string(out)) {
		if strings.Contains(name, unit) {
			left = append(left, "domain "+name)
		}
	}
	return left
}

// libvirtd starts the daemons where none answers. One that sees a KVM which opens but does not boot asks qemu for its
// capabilities anew at every call, for minutes: so such a KVM is hidden from it.
func libvirtd(t *testing.T, im driver.Image) {
	t.Helper()
	if exec.Command("virsh", "-q", "-c", "qemu:///system", "version").Run() == nil {
		return
	}
	accel, err := qemu.Accelerator(t.Context(), filepath.Join(t.TempDir(), "accelerator"), qemu.KernelIn(im.Root))
	if err != nil {
		t.Fatal(err)
	}
	hide := ""
	if accel != "kvm" {
		hide = "mount --bind /dev/null /dev/kvm; "
	}
	background(t, "virtlogd")
	background(t, "unshare", "--mount", "sh", "-c", hide+"exec libvirtd")
	for range 100 {
		if exec.Command("virsh", "-q", "-c", "qemu:///system", "version").Run() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("libvirtd does not answer after 10 s")
}

// background runs a program until the test ends.
func background(t *testing.T, argv ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var id process.ID
	if err := process.StartGated(argv, process.Options{Log: log}, func(got process.ID) error { id = got; return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { id.Kill(context.WithoutCancel(t.Context())) })
}

// hostBridge makes a bridge with a DHCP server in the namespace that the test runs in.
func hostBridge(t *testing.T) string {
	t.Helper()
	const name = "goldtest0"
	for _, args := range [][]string{
		{"link", "add", name, "type", "bridge", "forward_delay", "0"}, {"addr", "add", "10.99.9.1/24", "dev", name}, {"link", "set", name, "up"},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %s", args, out)
		}
		if args[1] == "add" && args[0] == "link" {
			t.Cleanup(func() { exec.Command("ip", "link", "del", name).Run() })
		}
	}
	background(t, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface="+name, "--bind-interfaces",
		"--except-interface=lo", "--no-ping", "--user=root", "--pid-file=", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"),
		"--dhcp-range=10.99.9.20,10.99.9.200")
	return name
}
