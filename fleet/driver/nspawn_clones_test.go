//go:build clones

package driver_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/vlan"
)

func TestNspawnKeepsTheContract(t *testing.T) {
	tree := drivertest.SmallTree(t)
	lab := vlan.NewLab(fmt.Sprint("suite-nspawn-", os.Getpid()), netip.MustParsePrefix(vlan.DefaultSubnet), t.TempDir())
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
		Driver:    driver.Nspawn{},
		Machine:   driver.Machine{Image: driver.Image{Name: "small", Root: tree}, MAC: "52:54:00:00:00:01", Network: lab.Network},
		Boot:      time.Minute,
		Leftovers: func(t *testing.T, unit string) []string { return drivertest.Traces(t, unit) },
	})
}
