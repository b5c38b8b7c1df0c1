package lease

import (
	"net"
	"net/netip"
	"testing"
)

var (
	ours     = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	theirs   = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}
	otherNIC = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 3} // our other NIC
)

func arp(src, sender net.HardwareAddr, ip string) []byte {
	b := arpProbe(sender, netip.MustParseAddr("10.0.0.7"))
	copy(b[6:], src)
	a := netip.MustParseAddr(ip).As4()
	copy(b[28:], a[:])
	return append(b, make([]byte, 18)...) // padding of the wire
}

func TestJudge(t *testing.T) {
	udp := append(append(append([]byte{}, theirs...), ours...), 0x08, 0x00, 0x45)
	for _, c := range []struct {
		name  string
		sent  [][]byte
		frame []byte
		want  string
	}{
		{"somebody has our address", nil, arp(theirs, theirs, "10.0.0.7"), "another machine on ens3, MAC 52:54:00:00:00:02, has our address 10.0.0.7"},
		{"somebody has another address", nil, arp(theirs, theirs, "10.0.0.70"), ""},
		{"somebody probes for our address", nil, arp(theirs, theirs, "0.0.0.0"), ""},
		{"our other NIC answers", nil, arp(otherNIC, otherNIC, "10.0.0.7"), ""},
		{"our MAC and our address", nil, arp(ours, ours, "10.0.0.7"), "another machine on ens3 has our address 10.0.0.7 and our MAC 52:54:00:00:00:01: it is a twin of this clone"},
		{"our MAC asks for an address", nil, arp(ours, ours, "0.0.0.0"), "another machine on ens3 sends from our MAC 52:54:00:00:00:01: it is a twin of this clone"},
		{"our MAC sends something else", nil, udp, "another machine on ens3 sends from our MAC 52:54:00:00:00:01: it is a twin of this clone"},
		{"the switch reflects our frame", [][]byte{udp}, udp, ""},
		{"the switch reflects our frame with padding", [][]byte{arpProbe(ours, netip.MustParseAddr("10.0.0.7"))}, arp(ours, ours, "0.0.0.0"), ""},
		{"too short", nil, []byte{1, 2, 3}, ""},
	} {
		j := judge{link: "ens3", mac: ours, address: netip.MustParseAddr("10.0.0.7"),
			own: map[string]bool{ours.String(): true, otherNIC.String(): true}}
		for _, s := range c.sent {
			if j.hear(s, true) != nil {
				t.Errorf("%s: our own frame is a twin", c.name)
			}
		}
		got := ""
		if tw := j.hear(c.frame, false); tw != nil {
			got = tw.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMadeUpAddressesAreUnicastAndLocal(t *testing.T) {
	for range 64 {
		if m := madeUp(); m[0]&3 != 2 {
			t.Fatalf("%s", m)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(arp(theirs, theirs, "10.0.0.7"), false)
	f.Fuzz(func(t *testing.T, frame []byte, outgoing bool) {
		j := judge{link: "x", mac: ours, address: netip.MustParseAddr("10.0.0.7")}
		if tw := j.hear(frame, outgoing); tw != nil && (outgoing || tw.MAC == "") {
			t.Errorf("%+v", tw)
		}
	})
}
