package who

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// leaseTimeout is how long a clone waits for its address where the imprint does not say.
const leaseTimeout = 120 * time.Second

// Face waits until the link that carries the public face has a global address, and adds it to the identity.
func (r Running) Face(ctx context.Context, id identity.Identity, pol identity.Policy) (identity.Identity, error) {
	limit := time.Duration(pol.LeaseTimeout)
	if limit == 0 {
		limit = leaseTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		link, addr, err := face(id.Interface)
		if err == nil {
			id.Interface, id.PrefixLen = link, addr.Bits()
			id.Address = addr.Addr()
			return id, nil
		}
		select {
		case <-ctx.Done():
			return id, report.Faultf(report.Stopped, "no address after %s: %w", limit, err).
				WithHint("is there a DHCP server on this network?")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// face looks at the named link, or at that of the default route.
func face(name string) (string, netip.Prefix, error) {
	link, err := faceLink(name)
	if err != nil {
		return "", netip.Prefix{}, err
	}
	name = link.Attrs().Name
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return "", netip.Prefix{}, fmt.Errorf("cannot list addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP.To4())
		if bits, _ := a.Mask.Size(); ok && a.Scope == unix.RT_SCOPE_UNIVERSE && a.Flags&unix.IFA_F_SECONDARY == 0 && !ip.IsLinkLocalUnicast() {
			return name, netip.PrefixFrom(ip, bits), nil
		}
	}
	return "", netip.Prefix{}, fmt.Errorf("%s has no address", name)
}

func faceLink(name string) (netlink.Link, error) {
	if name != "" {
		return netlink.LinkByName(name)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("cannot list routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.Dst.IP.IsUnspecified() {
			return netlink.LinkByIndex(r.LinkIndex)
		}
	}
	return nil, errors.New("there is no default route")
}
