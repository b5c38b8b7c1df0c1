package discover

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
)

var (
	hw   = net.HardwareAddr{0x52, 0x54, 0, 1, 2, 3}
	ours = netip.MustParseAddr("10.0.9.1")
	who  = netip.MustParseAddr("10.0.9.77")
)

// dhcp builds a frame from port 67 to port 68 with the given message type.
func dhcp(kind byte, options ...byte) []byte {
	m := make([]byte, bootpSize)
	m[0], m[1], m[2] = 2, 1, 6
	copy(m[16:], who.AsSlice())
	copy(m[28:], hw)
	m = append(m, options...)
	m = append(m, 53, 1, kind, 255)
	udp := binary.BigEndian.AppendUint16(nil, 67)
	udp = binary.BigEndian.AppendUint16(udp, 68)
	udp = append(udp, 0, 0, 0, 0)
	ip := make([]byte, 20)
	ip[0], ip[9] = 0x45, 17
	f := append(make([]byte, 12), 8, 0)
	return append(append(append(f, ip...), udp...), m...)
}

func TestHear(t *testing.T) {
	request := arpRequest(hw, who, ours)
	fragment := dhcp(5)
	fragment[etherHeader+7] = 1
	tests := []struct {
		name  string
		frame []byte
		want  Host
	}{
		{"the sender of an ARP request", request, Host{hw.String(), who, "arp"}},
		{"a probe has no sender", arpRequest(hw, netip.IPv4Unspecified(), ours), Host{}},
		{"an acknowledged lease", dhcp(5), Host{hw.String(), who, "dhcp"}},
		{"an acknowledged lease with options before the type", dhcp(5, 0, 1, 4, 255, 255, 255, 0), Host{hw.String(), who, "dhcp"}},
		{"an offer is no lease", dhcp(2), Host{}},
		{"a refusal", dhcp(6), Host{}},
		{"a fragment", fragment, Host{}},
		{"cut short", request[:30], Host{}},
		{"empty", nil, Host{}},
		{"something else", append(make([]byte, 12), 0x86, 0xdd), Host{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := hear(tt.frame)
			if got != tt.want || ok != (tt.want != Host{}) {
				t.Errorf("got %+v, %t; want %+v", got, ok, tt.want)
			}
		})
	}
}

func FuzzHear(f *testing.F) {
	f.Add(arpRequest(hw, who, ours))
	f.Add(dhcp(5))
	f.Add(dhcp(5, 12, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := hear(b); ok && (!h.Address.Is4() || h.Address.IsUnspecified() || len(h.MAC) != 17) {
			t.Errorf("heard %+v", h)
		}
	})
}

func TestHostsOfASubnet(t *testing.T) {
	tests := []struct {
		subnet      string
		count       int
		first, last string
	}{
		{"10.0.9.0/24", 254, "10.0.9.1", "10.0.9.254"},
		{"10.0.8.0/22", 1022, "10.0.8.1", "10.0.11.254"},
		{"10.0.0.0/16", 65534, "10.0.0.1", "10.0.255.254"},
		{"10.0.9.4/31", 2, "10.0.9.4", "10.0.9.5"},
		{"10.0.9.4/32", 1, "10.0.9.4", "10.0.9.4"},
		{"255.255.255.0/24", 254, "255.255.255.1", "255.255.255.254"},
	}
	for _, tt := range tests {
		t.Run(tt.subnet, func(t *testing.T) {
			got, err := hostsOf(netip.MustParsePrefix(tt.subnet))
			if err != nil || len(got) != tt.count || got[0].String() != tt.first || got[len(got)-1].String() != tt.last {
				t.Errorf("got %d hosts, %v", len(got), err)
			}
		})
	}
	for _, bad := range []string{"10.0.0.0/15", "fd00::/64"} {
		if _, err := hostsOf(netip.MustParsePrefix(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
