//go:build clones

package fleet_test

import (
	"slices"
	"testing"

	"goldsmith/fleet/discover"
)

// TestAMachineNestedInACloneIsFoundByItsMAC puts br-ex into a clone, as a cloud does, and a machine behind it that has
// its own MAC and asks the external DHCP server itself: the cloud cannot know its address, the wire can.
func TestAMachineNestedInACloneIsFoundByItsMAC(t *testing.T) {
	const nested = "fa:16:3e:00:00:07" // as neutron gives them
	b := bench(t)
	s := spawn(t, b, order(t, b, "nest", 2))
	if _, err := b.Wait(t.Context(), "nest", patience, nil); err != nil {
		t.Fatal(err)
	}
	inside(t, s, 0, "sh", "-ec", `
		ip link add br-ex type bridge forward_delay 0
		ip link set br-ex address $(cat /sys/class/net/host0/address) up
		ip link set host0 master br-ex
		ip netns add vm
		ip link add tap0 type veth peer name eth0 netns vm
		ip link set tap0 master br-ex up
		ip -n vm link set eth0 address `+nested+` up
		ip -n vm addr add 10.0.9.7/24 dev eth0`)
	w, err := discover.Open(s.Network, false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	subnet, err := discover.Subnet(s.Network)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := w.Sweep(t.Context(), subnet)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(hosts, func(h discover.Host) bool { return h.MAC == nested })
	if i < 0 || hosts[i].Address.String() != "10.0.9.7" {
		t.Errorf("the nested machine is not among %v", hosts)
	}
	if other := s.Clones[1].MAC; !slices.ContainsFunc(hosts, func(h discover.Host) bool { return h.MAC == other }) {
		t.Errorf("the other clone is not among %v", hosts)
	}
}
