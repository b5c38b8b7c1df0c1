//go:build vm

package driver_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
)

// TestVMQemuKeepsTheContract boots the baked debian-minimal image. Without KVM a boot takes about a minute.
func TestVMQemuKeepsTheContract(t *testing.T) {
	im := minimalImage(t)
	lab := vlan.NewLab(fmt.Sprint("suite-qemu-", os.Getpid()), netip.MustParsePrefix(vlan.DefaultSubnet), t.TempDir())
	if err := lab.Check(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := lab.Up(func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	drivertest.Run(t, drivertest.Place{
		Driver: driver.Qemu{},
		Machine: driver.Machine{Image: im, MAC: "52:54:00:00:00:02", Network: lab.Network,
			UUID: "8c5e2b1a-4f0d-4c7e-9a51-0d6f3b7a2e94"},
		Boot:      5 * time.Minute,
		Leftovers: func(t *testing.T, unit string) []string { return drivertest.Traces(t, unit) },
	})
}

// minimalImage is baked beforehand: a bake needs a mirror, and a test does not ask one.
func minimalImage(t *testing.T) driver.Image {
	t.Helper()
	home := os.Getenv("GOLDSMITH_HOME")
	if home == "" {
		home = "/var/lib/goldsmith"
	}
	im, err := fleet.Bench{Home: home}.Image("debian-minimal")
	if err != nil {
		t.Fatalf("%v\nhint: goldsmith bake debian-minimal", err)
	}
	return im
}
