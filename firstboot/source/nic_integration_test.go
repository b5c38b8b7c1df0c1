//go:build integration

package source

import (
	"net"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"goldsmith/firstboot/identity"
)

// The links that a cloud's software makes are not NICs, in a namespace like a container's.
func TestNICsAmongSoftwareLinks(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread ends with the test, and its namespaces with it
	outer, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	inner, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	peer := netlink.NsFd(outer) // where the other ends of our own veths live
	for _, l := range []netlink.Link{
		&netlink.Veth{LinkAttrs: attrs("host1", "52:54:00:00:00:02"), PeerName: "v1", PeerNamespace: peer},
		&netlink.Veth{LinkAttrs: attrs("host0", "52:54:00:00:00:01"), PeerName: "v0", PeerNamespace: peer},
		&netlink.Veth{LinkAttrs: attrs("qvo0", "52:54:00:00:00:03"), PeerName: "qvb0"},
		&netlink.Bridge{LinkAttrs: attrs("br-ex", "52:54:00:00:00:04")},
		&netlink.Tuntap{LinkAttrs: attrs("tap0", ""), Mode: netlink.TUNTAP_MODE_TAP},
	} {
		if err := netlink.LinkAdd(l); err != nil {
			t.Fatalf("%s: %v", l.Attrs().Name, err)
		}
	}
	got, err := nics(true)
	if err != nil {
		t.Fatal(err)
	}
	want := []identity.NIC{{Name: "host0", MAC: "52:54:00:00:00:01"}, {Name: "host1", MAC: "52:54:00:00:00:02"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func attrs(name, mac string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	if mac != "" {
		a.HardwareAddr, _ = net.ParseMAC(mac)
	}
	return a
}
