// Package lease finds the address of a clone's public face, by netlink: it waits for it, tells what it saw when none came,
// follows it when it changes, and looks for a twin that has the same address or the same MAC.
//
// It asks the kernel and no network manager, because there are five of them and network-online.target of the usual ones
// waits for every link, or for none (20 s and more, measured).
package lease

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Face is the link that carries a clone's public address.
type Face struct {
	Interface string
	MAC       string
	Address   netip.Addr // IPv4, or IPv6 where there is no IPv4
	Address6  netip.Addr // global IPv6 beside an IPv4
	PrefixLen int        // of Address
	Leased    bool       // the address has a finite lifetime: somebody lends it
}

// Same tells whether two faces are the same to others: a renewed lease is, and a new MAC under the same address is.
func (f Face) Same(g Face) bool {
	return f.Interface == g.Interface && f.Address == g.Address && f.Address6 == g.Address6 && f.PrefixLen == g.PrefixLen
}

// An address is one address of a link, as the kernel has it.
type address struct {
	netip.Prefix
	flags int // IFA_F_*
	scope int // RT_SCOPE_*
}

// A link is one link with its addresses in the kernel's order.
type link struct {
	index, master int
	name, kind    string // kind as netlink names it: device, veth, bridge, openvswitch, ...
	mac           string
	up, carrier   bool
	addresses     []address
}

// A route is a default route.
type route struct {
	link, metric int
	six          bool
}

// A snapshot is what the kernel says at one moment.
type snapshot struct {
	links  []link
	routes []route // default routes only
}

func (s *snapshot) byName(name string) *link {
	i := slices.IndexFunc(s.links, func(l link) bool { return l.name == name })
	return s.at(i)
}

func (s *snapshot) byIndex(index int) *link {
	i := slices.IndexFunc(s.links, func(l link) bool { return l.index == index })
	return s.at(i)
}

func (s *snapshot) at(i int) *link {
	if i < 0 {
		return nil
	}
	return &s.links[i]
}

// unfit tells why an address cannot be the public face, or "".
func (a address) unfit() string {
	switch {
	case a.Addr().IsLinkLocalUnicast():
		return "link-local"
	case a.Addr().IsLoopback() || a.scope == unix.RT_SCOPE_HOST:
		return "only for this host"
	case a.flags&unix.IFA_F_DADFAILED != 0:
		return "another machine on the link has it (duplicate address detection)"
	case a.flags&unix.IFA_F_TENTATIVE != 0:
		return "tentative"
	case a.flags&unix.IFA_F_SECONDARY != 0 && a.Addr().Is6(): // the same bit as IFA_F_TEMPORARY
		return "temporary (privacy extensions)"
	case a.flags&unix.IFA_F_SECONDARY != 0:
		return "secondary"
	case a.flags&unix.IFA_F_DEPRECATED != 0:
		return "deprecated"
	}
	return ""
}

// leased tells whether the address has an end: a DHCP client or a router gave it.
func (a address) leased() bool { return a.flags&unix.IFA_F_PERMANENT == 0 }

// best returns the address of a family to be used: a leased one before one that was configured.
func (l *link) best(six bool) (address, bool) {
	var found address
	ok := false
	for _, a := range l.addresses {
		if a.Addr().Is6() == six && a.unfit() == "" && (!ok || a.leased() && !found.leased()) {
			found, ok = a, true
		}
	}
	return found, ok
}

// pending tells whether a global IPv6 address is on its way, so that waiting for it is worth the while.
func (l *link) pending() bool {
	return slices.ContainsFunc(l.addresses, func(a address) bool { return a.Addr().Is6() && a.unfit() == "tentative" })
}

// face returns what the link shows, and whether it is settled: IPv4 is there, is leased or has the default route, and no
// IPv6 address is still being tried. What is not settled may yet change within moments.
func (l *link) face(hasRoute bool) (f Face, settled, ok bool) {
	f = Face{Interface: l.name, MAC: l.mac}
	four, has4 := l.best(false)
	six, has6 := l.best(true)
	switch {
	case has4:
		f.Address, f.PrefixLen, f.Leased = four.Addr(), four.Bits(), four.leased()
		if has6 {
			f.Address6 = six.Addr()
		}
		return f, (f.Leased || hasRoute) && !l.pending(), true
	case has6: // an IPv4 lease may be slower than a router's advertisement
		f.Address, f.PrefixLen, f.Leased = six.Addr(), six.Bits(), six.leased()
		return f, false, true
	}
	return f, false, false
}

// choose returns the face that the snapshot shows for the named link, or for the link of the default route when name is
// empty.
func (s *snapshot) choose(name string) (f Face, settled, ok bool) {
	if name != "" {
		l := s.carrier(name)
		if l == nil {
			return Face{}, false, false
		}
		return l.face(s.routed(l))
	}
	if l := s.defaultLink(); l != nil {
		return l.face(true)
	}
	// No default route: one single link with an address may be meant, when nothing more comes.
	var only []Face
	for i := range s.links {
		if f, _, ok := s.links[i].face(false); ok {
			only = append(only, f)
		}
	}
	if len(only) == 1 {
		return only[0], false, true
	}
	return Face{}, false, false
}

// carrier returns the link that carries the addresses of the named one: a bridge or bond that owns it has them. A port of
// Open vSwitch does not tell its bridge by netlink; there the default route shows the bridge.
func (s *snapshot) carrier(name string) *link {
	l := s.byName(name)
	if l == nil || l.master == 0 {
		return l
	}
	m := s.byIndex(l.master)
	switch {
	case m == nil:
		return l
	case m.kind == "openvswitch":
		if d := s.defaultLink(); d != nil && (d.kind == "openvswitch" || d.kind == "tun") {
			return d
		}
		return l
	}
	return m
}

// defaultLink returns the link of the default route with the lowest metric, IPv4 first.
func (s *snapshot) defaultLink() *link {
	if len(s.routes) == 0 {
		return nil
	}
	r := slices.MinFunc(s.routes, func(a, b route) int {
		if a.six != b.six {
			if b.six {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.metric, b.metric)
	})
	return s.byIndex(r.link)
}

func (s *snapshot) routed(l *link) bool {
	return slices.ContainsFunc(s.routes, func(r route) bool { return r.link == l.index })
}

// seen describes a snapshot to somebody who wonders why no address came.
func (s *snapshot) seen(name string) []string {
	var out []string
	if name != "" && s.byName(name) == nil {
		out = append(out, "no link "+name)
	}
	for _, l := range s.links {
		if l.name == "lo" {
			continue
		}
		out = append(out, s.describe(l))
	}
	if d := s.defaultLink(); d != nil {
		return append(out, "default route by "+d.name)
	}
	return append(out, "no default route")
}

func (s *snapshot) describe(l link) string {
	state := "down"
	switch {
	case l.up && l.carrier:
		state = "up"
	case l.up:
		state = "up without carrier"
	}
	text := fmt.Sprintf("%s (%s) %s", l.name, l.mac, state)
	if m := s.byIndex(l.master); m != nil {
		text += " in " + m.name
	}
	var notes []string
	for _, a := range l.addresses {
		if why := a.unfit(); why != "" {
			notes = append(notes, a.String()+" ignored: "+why)
		} else {
			notes = append(notes, a.String())
		}
	}
	if len(notes) == 0 {
		return text + " without address"
	}
	return text + " with " + strings.Join(notes, ", ")
}
