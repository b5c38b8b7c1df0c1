package seal

// dhcpLeases: a client asks for the address of its last lease first. With a server that is not authoritative that costs
// 20 s for each clone; with one that is not careful, clones get one address.
var dhcpLeases = Operation{
	Name:  "dhcp-leases",
	Short: "leases and identifiers of all DHCP clients and servers",
	Why:   "clones would ask for the address of the golden machine, as one and the same client",
	Remove: []string{
		"var/lib/dhclient/*", "var/lib/dhcp/*", "var/lib/dhcp3/*", // ISC
		"var/lib/dhcpcd/*", "var/lib/dhcpcd5/*", "etc/dhcpcd.duid", "etc/dhcpcd.secret",
		"var/lib/systemd/network/*", "run/systemd/netif/leases/*", "var/lib/systemd/ipv4ll/*",
		"var/lib/dhcpd/*", "var/lib/misc/dnsmasq.leases", "var/lib/libvirt/dnsmasq/*.status", "var/lib/libvirt/dnsmasq/*.macs",
		"var/lib/wicked/*.xml", "var/lib/connman/*/settings",
	},
}
