//go:build clones

package driver_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
)

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
