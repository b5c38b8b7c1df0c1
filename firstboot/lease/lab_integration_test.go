//go:build integration

package lease

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A vlan is a bridge in a network namespace of its own; machines are namespaces with a veth to it, named host0. Everything
// is gone when the last handle closes.
type vlan struct {
	t  *testing.T
	ns netns.NsHandle
}

// in runs f on a thread that is in the given namespace, and that ends with it.
func in(t *testing.T, ns netns.NsHandle, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		f()
		done <- nil
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func newNS(t *testing.T) netns.NsHandle {
	t.Helper()
	made := make(chan netns.NsHandle)
	go func() {
		runtime.LockOSThread()
		ns, err := netns.New()
		if err != nil {
			t.Error(err)
		}
		made <- ns
	}()
	ns := <-made
	t.Cleanup(func() { ns.Close() })
	return ns
}

func newVLAN(t *testing.T) *vlan {
	v := &vlan{t, newNS(t)}
	in(t, v.ns, func() {
		v.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: named("br0")}))
		v.up("br0")
	})
	return v
}

func (v *vlan) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Error(err)
	}
}

func named(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

func (v *vlan) up(name string) {
	l, err := netlink.LinkByName(name)
	v.must(err)
	v.must(netlink.LinkSetUp(l))
}

// machine makes a namespace with a NIC of that MAC in the VLAN.
func (v *vlan) machine(port, mac string) netns.NsHandle {
	ns := newNS(v.t)
	in(v.t, v.ns, func() {
		hw, _ := net.ParseMAC(mac)
		br, err := netlink.LinkByName("br0")
		v.must(err)
		v.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: named(port), PeerName: "host0", PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(ns)}))
		l, err := netlink.LinkByName(port)
		v.must(err)
		v.must(netlink.LinkSetMaster(l, br))
		v.up(port)
	})
	in(v.t, ns, func() { v.up("lo"); v.up("host0") })
	return ns
}

// give adds an address; life 0 is for ever.
func (v *vlan) give(link, prefix string, life int) {
	l, err := netlink.LinkByName(link)
	v.must(err)
	a, err := netlink.ParseAddr(prefix)
	v.must(err)
	a.ValidLft, a.PreferedLft = life, life
	v.must(netlink.AddrReplace(l, a))
}

func (v *vlan) take(link, prefix string) {
	l, err := netlink.LinkByName(link)
	v.must(err)
	a, err := netlink.ParseAddr(prefix)
	v.must(err)
	v.must(netlink.AddrDel(l, a))
}

func TestWaitTakesTheLeaseAndNothingElse(t *testing.T) {
	v := newVLAN(t)
	ns := v.machine("c1", "52:54:00:00:00:01")
	got := make(chan Face, 1)
	go in(t, ns, func() {
		f, err := Wait(context.Background(), "host0", 20*time.Second)
		v.must(err)
		got <- f
	})
	in(t, ns, func() {
		v.give("host0", "169.254.1.1/16", 0)
		time.Sleep(100 * time.Millisecond)
	})
	select {
	case f := <-got:
		t.Fatalf("a link-local address counts: %+v", f)
	default:
	}
	in(t, ns, func() { v.give("host0", "10.0.0.7/24", 3600) })
	f := <-got
	want := Face{Interface: "host0", MAC: "52:54:00:00:00:01", Address: netip.MustParseAddr("10.0.0.7"), PrefixLen: 24, Leased: true}
	if f.Address6 = (netip.Addr{}); f != want {
		t.Errorf("%+v, want %+v", f, want)
	}
}

func TestWaitByDefaultRouteAmongSeveralNICs(t *testing.T) {
	v := newVLAN(t)
	ns := v.machine("c1", "52:54:00:00:00:01")
	in(t, ns, func() {
		v.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: named("ens4"), PeerName: "x4"}))
		v.up("ens4")
		v.up("x4")
		v.give("ens4", "10.9.0.4/24", 3600)
		v.give("host0", "10.0.0.7/24", 3600)
		l, err := netlink.LinkByName("host0")
		v.must(err)
		v.must(netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(10, 0, 0, 1)}))
		f, err := Wait(context.Background(), "", 5*time.Second)
		if err != nil || f.Interface != "host0" || f.Address.String() != "10.0.0.7" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

// The kernel has many routes, and those by which a machine reaches anybody are few.
func TestDefaultRoutesAmongOthers(t *testing.T) {
	v := newVLAN(t)
	ns := v.machine("c1", "52:54:00:00:00:01")
	in(t, ns, func() {
		v.give("host0", "10.0.0.7/24", 0)
		v.give("host0", "fd00::7/64", 0)
		l, err := netlink.LinkByName("host0")
		v.must(err)
		n := l.Attrs().Index
		anywhere := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
		gateway := net.IPv4(10, 0, 0, 1)
		for _, r := range []netlink.Route{
			{LinkIndex: n, Gw: gateway, Priority: 100},
			{Dst: anywhere, Priority: 300, MultiPath: []*netlink.NexthopInfo{{LinkIndex: n, Gw: gateway}, {LinkIndex: n, Gw: net.IPv4(10, 0, 0, 2)}}},
			{LinkIndex: n, Gw: gateway, Table: 77},
			{LinkIndex: n, Gw: gateway, Dst: &net.IPNet{IP: net.IPv4(0, 0, 0, 0), Mask: net.CIDRMask(1, 32)}},
			{LinkIndex: n, Gw: gateway, Dst: &net.IPNet{IP: net.IPv4(10, 7, 0, 0), Mask: net.CIDRMask(16, 32)}},
			{Dst: anywhere, Type: unix.RTN_UNREACHABLE, Priority: 900},
			{LinkIndex: n, Gw: net.ParseIP("fd00::1"), Priority: 200},
		} {
			v.must(netlink.RouteAdd(&r))
		}
		got, err := defaultRoutes()
		v.must(err)
		sort.Slice(got, func(i, j int) bool { return got[i].metric < got[j].metric })
		want := []route{{link: n, metric: 100}, {link: n, metric: 200, six: true}, {link: n, metric: 300}}
		if !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestWaitFollowsTheBridgeThatOwnsTheNIC(t *testing.T) {
	v := newVLAN(t)
	ns := v.machine("c1", "52:54:00:00:00:01")
	in(t, ns, func() {
		v.must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: named("br-ex")}))
		br, err := netlink.LinkByName("br-ex")
		v.must(err)
		l, err := netlink.LinkByName("host0")
		v.must(err)
		v.must(netlink.LinkSetMaster(l, br))
		v.up("br-ex")
		v.give("br-ex", "10.0.0.7/24", 3600)
		f, err := Wait(context.Background(), "host0", 10*time.Second)
		if err != nil || f.Interface != "br-ex" {
			t.Errorf("%+v, %v", f, err)
		}
	})
}

func TestProbeOfAQuietVLAN(t *testing.T) {
	v := newVLAN(t)
	a, b := v.machine("c1", "52:54:00:00:00:01"), v.machine("c2", "52:54:00:00:00:02")
	in(t, b, func() { v.give("host0", "10.0.0.8/24", 3600) })
	in(t, a, func() {
		v.give("host0", "10.0.0.7/24", 3600)
		f, ok, err := Now("host0")
		began := time.Now()
		if err != nil || !ok {
			t.Errorf("%v %v", ok, err)
		} else if err := Probe(context.Background(), f); err != nil {
			t.Error(err)
		}
		t.Logf("probe took %s", time.Since(began))
	})
}

// Each twin is found by the machine that starts second.
func TestProbeFindsTwins(t *testing.T) {
	for _, c := range []struct {
		name, mac, address string
		want, or           string // or is what is said where the twin sends something else before it answers
	}{
		{"same address", "52:54:00:00:00:02", "10.0.0.7/24", "MAC 52:54:00:00:00:02, has our address 10.0.0.7", "-"},
		{"same address and MAC, as a br-ex with the golden MAC makes it", "52:54:00:00:00:01", "10.0.0.7/24", "has our address 10.0.0.7 and our MAC", "sends from our MAC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVLAN(t)
			twin, self := v.machine("c2", c.mac), v.machine("c1", "52:54:00:00:00:01")
			in(t, twin, func() { v.give("host0", c.address, 3600) })
			in(t, self, func() {
				v.give("host0", "10.0.0.7/24", 3600)
				f, _, err := Now("host0")
				v.must(err)
				err = Probe(context.Background(), f)
				if tw := (*Twin)(nil); !errors.As(err, &tw) || !strings.Contains(err.Error(), c.want) && !strings.Contains(err.Error(), c.or) {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}

// A twin with our MAC but another address shows itself by anything that it sends.
func TestProbeHearsOurMAC(t *testing.T) {
	v := newVLAN(t)
	twin, self := v.machine("c2", "52:54:00:00:00:01"), v.machine("c1", "52:54:00:00:00:01")
	talk, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in(t, twin, func() {
			v.give("host0", "10.0.0.9/24", 3600)
			// ARP for who is not there, somebody else each time: for one and the same the kernel asks once in a second.
			for n := 0; talk.Err() == nil; n++ {
				if c, err := net.Dial("udp", fmt.Sprintf("10.0.0.%d:9", 100+n%100)); err == nil {
					c.Write([]byte("x"))
					c.Close()
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}()
	in(t, self, func() {
		v.give("host0", "10.0.0.7/24", 3600)
		f, _, err := Now("host0")
		v.must(err)
		if err := Probe(context.Background(), f); err == nil || !strings.Contains(err.Error(), "sends from our MAC") {
			t.Errorf("%v", err)
		}
	})
	stop()
	<-ended
}

func TestWatchFollowsTheLeaseAndIgnoresRenewals(t *testing.T) {
	v := newVLAN(t)
	ns := v.machine("c1", "52:54:00:00:00:01")
	in(t, ns, func() { v.give("host0", "10.0.0.7/24", 3600) })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	got := make(chan string, 10)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in(t, ns, func() {
			err := Watch(ctx, "host0", Face{}, func(_ context.Context, f Face) error { got <- f.Address.String(); return nil })
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}()
	if a := <-got; a != "10.0.0.7" {
		t.Errorf("first %s", a)
	}
	in(t, ns, func() {
		v.give("host0", "10.0.0.7/24", 7200) // a renewal
		time.Sleep(1500 * time.Millisecond)
		v.take("host0", "10.0.0.7/24") // another lease, as dhclient changes over
		time.Sleep(50 * time.Millisecond)
		v.give("host0", "10.0.0.9/24", 3600)
	})
	if a := <-got; a != "10.0.0.9" {
		t.Errorf("then %s", a)
	}
	cancel()
	<-ended
	if len(got) > 0 {
		t.Errorf("one more change: %s", <-got)
	}
}

// The socket that systemd hands over listens to addresses only.
func TestInheritedSocketTellsOfAddresses(t *testing.T) {
	v := newVLAN(t)
	ns := v.machine("c1", "52:54:00:00:00:01")
	in(t, ns, func() {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		v.must(err)
		v.must(unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: AddressGroups}))
		e, err := Inherit(uintptr(fd))
		v.must(err)
		defer e.Close()
		time.Sleep(2 * time.Second) // IPv6's own addresses are through
		v.must(e.Drain(context.Background(), 100*time.Millisecond, time.Second))
		v.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: named("tap1"), PeerName: "tap2"}))
		if ev, err := e.Wait(context.Background(), time.Now().Add(200*time.Millisecond)); ev || err != nil {
			t.Errorf("a new link is an event: %v %v", ev, err)
		}
		v.give("host0", "10.0.0.7/24", 3600)
		if ev, err := e.Wait(context.Background(), time.Now().Add(5*time.Second)); !ev || err != nil {
			t.Errorf("a new address is none: %v %v", ev, err)
		}
	})
}
