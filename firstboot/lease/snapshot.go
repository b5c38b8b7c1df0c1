package lease

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// take asks the kernel for links, addresses and default routes.
func take() (*snapshot, error) {
	links, err1 := again(netlink.LinkList)
	addrs, err2 := again(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	routes, err3 := again(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_ALL) })
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("cannot look at the network: %w", err)
	}
	s := &snapshot{}
	for _, l := range links {
		a := l.Attrs()
		s.links = append(s.links, link{index: a.Index, master: a.MasterIndex, name: a.Name, kind: l.Type(),
			mac: a.HardwareAddr.String(), up: a.Flags&net.FlagUp != 0, carrier: a.RawFlags&unix.IFF_LOWER_UP != 0})
	}
	for _, a := range addrs {
		if l := s.byIndex(a.LinkIndex); l != nil {
			l.addresses = append(l.addresses, convert(a))
		}
	}
	for _, r := range routes {
		if d, ok := defaultRoute(r); ok {
			s.routes = append(s.routes, d)
		}
	}
	return s, nil
}

// again repeats a dump that the kernel could not finish because something changed meanwhile.
func again[T any](list func() ([]T, error)) ([]T, error) {
	for range 5 {
		out, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return out, err
		}
	}
	return list()
}

func convert(a netlink.Addr) address {
	ip, _ := netip.AddrFromSlice(a.IP)
	bits, _ := a.Mask.Size()
	return address{Prefix: netip.PrefixFrom(ip.Unmap(), bits), flags: a.Flags, scope: a.Scope}
}

func defaultRoute(r netlink.Route) (route, bool) {
	if r.Table != unix.RT_TABLE_MAIN || r.Type != unix.RTN_UNICAST {
		return route{}, false
	}
	if r.Dst != nil {
		if ones, _ := r.Dst.Mask.Size(); ones > 0 || !r.Dst.IP.IsUnspecified() {
			return route{}, false
		}
	}
	out := route{link: r.LinkIndex, metric: r.Priority, six: r.Family == unix.AF_INET6}
	if out.link == 0 && len(r.MultiPath) > 0 {
		out.link = r.MultiPath[0].LinkIndex
	}
	return out, out.link != 0
}
