package identity

import (
	"fmt"
	"net"
	"strings"
)

// family is the first octet of the MACs for nested VMs, by the vendor part of the clone's own: so two clones that run on
// different hypervisors do not meet either. All are locally administered unicast; none is fa (neutron), 52 (QEMU), 02, fe (libvirt's
// taps). Each family takes three octets: f6, f6-4, f6-8.
func family(mac net.HardwareAddr) byte {
	m := mac.String()
	for prefix, first := range map[string]byte{
		"00:50:56": 0xe6, "00:0c:29": 0xd6, // VMware
		"00:15:5d": 0xc6, // Hyper-V
		"08:00:27": 0xb6, // VirtualBox
		"56:6f":    0xa6, // oVirt
		"fa:16:3e": 0x96, // an OpenStack below this one
		"00:16:3e": 0x86, // Xen
	} {
		if strings.HasPrefix(m, prefix) {
			return first
		}
	}
	return 0xf6
}

// NestedMAC returns the base_mac from which a clone's cloud makes MACs for its own VMs, out of the address of the clone's
// NIC, which the hypervisor made unique on the VLAN. neutron keeps the first three octets, and the fourth unless it is 00,
// and draws the rest at random, so the last three octets of the NIC go there: 65536 addresses per clone, and no two clones
// share one. Hashing would not do: 24 bits of hash collide once in 30 for 1000 ports.
//
//	..:P4:P5:P6 -> f6:P4:P5:P6:00:00
//	..:P4:P5:00 -> f2:P4:00:P5:00:00
//	..:P4:00:00 -> ee:00:00:P4:00:00
func NestedMAC(mac string) (string, error) {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return "", fmt.Errorf("cannot derive MACs for nested VMs from %q: not a MAC address", mac)
	}
	first, p4, p5, p6 := family(hw), hw[3], hw[4], hw[5]
	base := net.HardwareAddr{first, p4, p5, p6, 0, 0}
	switch {
	case p6 != 0:
	case p5 != 0:
		base = net.HardwareAddr{first - 4, p4, 0, p5, 0, 0}
	case p4 != 0:
		base = net.HardwareAddr{first - 8, 0, 0, p4, 0, 0}
	default:
		return "", fmt.Errorf("cannot derive MACs for nested VMs from %s: its last three octets are zero", mac)
	}
	return base.String(), nil
}

// DefaultPrefix returns the prefix of datastores and pool images for a clone that nobody gave one: "gs" and the last three
// octets of its NIC, so that clones which share a storage pool do not share an image.
func DefaultPrefix(mac string) string {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return ""
	}
	return fmt.Sprintf("gs%02x%02x%02x", hw[3], hw[4], hw[5])
}
