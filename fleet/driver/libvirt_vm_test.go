//go:build vm

package driver_test

import (
	"testing"
	"time"

	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
)

// TestVMLibvirtKeepsTheContract boots the baked debian-minimal image in domains of a real libvirtd, on a bridge of the
// host with a DHCP server of its own. libvirtd is started where none runs.
func TestVMLibvirtKeepsTheContract(t *testing.T) {
	im := minimalImage(t)
	libvirtd(t, im)
	bridge := hostBridge(t)
	drivertest.Run(t, drivertest.Place{
		Driver: driver.Libvirt{},
		Machine: driver.Machine{Image: im, MAC: "52:54:00:00:00:03", Network: vlan.Network{Bridge: bridge},
			UUID: "5b0c7a4e-93d1-4f0e-8a57-b1f6a2c9d3e8"},
		Boot:      5 * time.Minute,
		Leftovers: domains,
	})
}
