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
	routes, err3 := again(defaultRoutes)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("cannot look at the network: %w", err)
	}
	s := &snapshot{routes: routes}
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
