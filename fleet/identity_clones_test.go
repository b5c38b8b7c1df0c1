//go:build clones

package fleet_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"goldsmith/firstboot/identity"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

// newLab makes a VLAN with a DHCP server that knows nothing of the clones.
func newLab(t *testing.T, name string) *vlan.Lab {
	t.Helper()
	lab := vlan.NewLab(fmt.Sprintf("%s-%d", name, os.Getpid()), netip.MustParsePrefix(vlan.DefaultSubnet), t.TempDir())
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
	return lab
}

// enable is where systemd looks for what to start.
func enable(unit string) string { return "/etc/systemd/system/multi-user.target.wants/" + unit }

// The ways in which a copied machine takes the golden one's lease.
var managers = map[string]map[string]string{
	"networkd calls itself by the machine id": {
		// The IAID comes from the NIC's predictable name, which clones share; a container has no udev to make one.
		"/etc/systemd/network/10-host0.network": "[Match]\nName=host0\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nIAID=1\n",
		enable("systemd-networkd.service"):      ">/lib/systemd/system/systemd-networkd.service",
	},
	"ifupdown gives the NIC the golden MAC": {
		"/etc/network/interfaces":    "auto lo\niface lo inet loopback\n\nauto host0\niface host0 inet dhcp\n\thwaddress ether " + goldenMAC + "\n",
		enable("networking.service"): ">/lib/systemd/system/networking.service",
	},
	"br-ex of Open vSwitch owns the NIC and has the golden MAC": {
		"/etc/network/interfaces": `auto lo
iface lo inet loopback

auto br-ex
allow-ovs br-ex
iface br-ex inet dhcp
	ovs_type OVSBridge
	ovs_ports host0
	ovs_extra set bridge br-ex datapath_type=netdev other-config:hwaddr=` + goldenMAC + `

allow-br-ex host0
iface host0 inet manual
	ovs_bridge br-ex
	ovs_type OVSPort
`,
		enable("networking.service"):         ">/lib/systemd/system/networking.service",
		enable("openvswitch-switch.service"): ">/lib/systemd/system/openvswitch-switch.service",
		// the packages' own script wants a kernel module before it starts the daemon
		"/etc/systemd/system/ovs-vswitchd.service.d/userspace.conf": "[Service]\nExecStart=\n" +
			"ExecStart=/usr/sbin/ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --log-file\n",
	},
}

// Three clones of a machine that nobody sealed: without firstboot they take one address, with it each gets its own.
func TestClonesOfAnUnsealedMachineGetTheirOwnLeases(t *testing.T) {
	n := 0
	for name, files := range managers {
		n++
		lab := fmt.Sprintf("identity%d", n)
		t.Run(name, func(t *testing.T) {
			g := newGolden(t, newLab(t, lab), files, func(g *golden, m driver.Machine) { g.address(m) })
			g.adopt(identity.Policy{Hostname: identity.HostnameFromMAC})

			g.put("/etc/goldsmith/disabled", "for the moment\n")
			off := g.spawn("off", func(m driver.Machine) netip.Addr { return g.address(m) })
			if len(off) != 1 {
				t.Errorf("without firstboot, three clones have %d addresses: there is no collision to be healed", len(off))
			}

			g.put("/etc/goldsmith/disabled", "")
			on := g.spawn("on", func(m driver.Machine) netip.Addr { return g.ready(m).Identity.Address })
			if len(on) != 3 {
				t.Errorf("with firstboot, three clones have %d addresses", len(on))
			}
			if _, taken := on[g.self.Address]; taken {
				t.Errorf("a clone took the golden address %s", g.self.Address)
			}
		})
	}
}

// spawn boots three clones one after the other, asks each for its address, and removes them.
func (g *golden) spawn(name string, address func(driver.Machine) netip.Addr) map[netip.Addr][]string {
	g.t.Helper()
	got := map[netip.Addr][]string{}
	var all []driver.Machine
	for i := range 3 {
		m := g.start(fmt.Sprintf("%s%d", name, i+1), fmt.Sprintf("52:54:00:00:%02x:%02x", len(name), i+16))
		all = append(all, m)
		a := address(m)
		got[a] = append(got[a], m.Name)
		if shown := g.address(m); shown != a {
			g.t.Errorf("%s has %s and reports %s", m.Name, shown, a)
		}
	}
	g.t.Logf("%s: %v", name, got)
	for _, m := range all {
		g.remove(m)
	}
	return got
}
