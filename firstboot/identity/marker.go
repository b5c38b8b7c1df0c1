package identity

import "net/netip"

// Marker is the identity that images are baked under: an address of TEST-NET-2 (RFC 5737), a host name that nobody has,
// a locally administered MAC, and a machine id that spells a name. A search for any of them on a clone must find nothing.
func Marker() Identity {
	return Identity{
		Hostname:  "goldsmith-marker",
		Domain:    "invalid", // RFC 2606: resolves nowhere
		Interface: "host0",   // what systemd-nspawn calls the inner end of its veth
		Address:   netip.AddrFrom4([4]byte{198, 51, 100, 77}),
		PrefixLen: 24,
		NICs:      []NIC{{Name: "host0", MAC: "02:67:6f:6c:64:73"}}, // "golds" in ASCII
		MachineID: "676f6c64736d6974682d6d61726b6572",               // "goldsmith-marker" in hex
		BaseMAC:   "fa:16:3e:00:00:00",                              // neutron's default
	}
}
