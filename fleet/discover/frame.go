// Package discover finds out who has which address on a VLAN: it asks by ARP, and it listens to ARP and DHCP. So a
// machine is found by its MAC even where nobody who could be asked knows its address: a clone behind somebody else's
// DHCP server, or a VM nested in a clone.
package discover

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// A Host is one machine on the wire.
type Host struct {
	MAC     string     `json:"mac"` // lower case, colons
	Address netip.Addr `json:"address"`
	By      string     `json:"by"` // arp or dhcp
}

// EtherTypes and sizes, in octets.
const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherHeader = 14
	arpSize     = 28
	udpHeader   = 8
	bootpSize   = 240 // the fixed part of a DHCP message with its magic cookie (RFC 2131, figure 1)
)

// arpRequest builds the frame that asks everybody on the wire who has target. Source may be 0.0.0.0, as in the probe of
// RFC 5227: then nobody learns an address for us.
func arpRequest(hw net.HardwareAddr, source, target netip.Addr) []byte {
	f := make([]byte, 0, etherHeader+arpSize)
	f = append(f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	f = append(f, hw...)
	f = binary.BigEndian.AppendUint16(f, etherARP)
	f = append(f, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their sizes, request (RFC 826)
	f = append(f, hw...)
	f = append(f, source.AsSlice()...)
	f = append(f, 0, 0, 0, 0, 0, 0)
	return append(f, target.AsSlice()...)
}

// hear reads what a frame tells about an address: the sender of any ARP packet, the client of a DHCP server's
// acknowledgement.
func hear(frame []byte) (Host, bool) {
	if len(frame) < etherHeader {
		return Host{}, false
	}
	body := frame[etherHeader:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherARP:
		return hearARP(body)
	case etherIPv4:
		return hearDHCP(body)
	}
	return Host{}, false
}

func hearARP(b []byte) (Host, bool) {
	if len(b) < arpSize || binary.BigEndian.Uint16(b[2:]) != etherIPv4 || b[4] != 6 || b[5] != 4 {
		return Host{}, false
	}
	return host(b[8:14], b[14:18], "arp")
}

// hearDHCP reads an IPv4 packet from port 67 to port 68 that carries a DHCPACK (RFC 2131, 2132).
func hearDHCP(b []byte) (Host, bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != 17 || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		return Host{}, false
	}
	head := int(b[0]&0xf) * 4
	if head < 20 || len(b) < head+udpHeader+bootpSize {
		return Host{}, false
	}
	udp := b[head:]
	if binary.BigEndian.Uint16(udp) != 67 || binary.BigEndian.Uint16(udp[2:]) != 68 {
		return Host{}, false
	}
	m := udp[udpHeader:]
	if m[0] != 2 || m[1] != 1 || m[2] != 6 || !acknowledges(m[bootpSize:]) {
		return Host{}, false
	}
	return host(m[28:34], m[16:20], "dhcp")
}

// acknowledges looks for option 53 (message type) with the value 5 (DHCPACK).
func acknowledges(options []byte) bool {
	for len(options) > 0 {
		switch code := options[0]; {
		case code == 0:
			options = options[1:]
		case code == 255 || len(options) < 2 || len(options) < 2+int(options[1]):
			return false
		case code == 53:
			return options[1] == 1 && options[2] == 5
		default:
			options = options[2+int(options[1]):]
		}
	}
	return false
}

// host makes a Host where the address is one that a machine can have.
func host(hw, addr []byte, by string) (Host, bool) {
	a, ok := netip.AddrFromSlice(addr)
	if !ok || a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return Host{}, false
	}
	return Host{MAC: net.HardwareAddr(hw).String(), Address: a, By: by}, true
}
