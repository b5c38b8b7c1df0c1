package adopt

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/text"
)

// A survey gathers what the files of a machine say about its links. Where two files disagree, both are kept: whoever
// derives an identity of it must say so.
type survey struct {
	root  *tree.FS
	links map[string]*link
	loose []evidence // MACs that no link is known for
	// unread are files that should say something and cannot be understood.
	unread []error
}

// A link is one network interface as configured. A name with * or ? in it stands for whatever matches.
type link struct {
	name    string
	virtual bool       // a bridge, a bond, a VLAN: it has no hardware
	master  string     // the bridge or bond that it is a port of
	macs    []evidence // lower case, colons
	addrs   []evidence // addresses, with or without /prefix
	dhcp    bool
	gateway bool
}

// An evidence is a value and the file that says it.
type evidence struct{ value, where string }

func (e evidence) String() string { return fmt.Sprintf("%s (%s)", e.value, e.where) }

// look reads every source. Order does not matter: all of them are kept.
func look(root *tree.FS) *survey {
	s := &survey{root: root, links: map[string]*link{}}
	for _, source := range []func(){s.scripts, s.ifupdown, s.netplan, s.networkd, s.networkManager, s.udev, s.leases, s.openVSwitch} {
		source()
	}
	s.settle()
	return s
}

// link returns the link of that name, new or known. Loopback and nameless ones are nobody's concern, and get one that is
// in no list.
func (s *survey) link(name string) *link {
	name = strings.TrimSpace(name)
	if name == "" || name == "lo" {
		return &link{}
	}
	if s.links[name] == nil {
		s.links[name] = &link{name: name, virtual: virtualName(name)}
	}
	return s.links[name]
}

// virtualName tells names that no hardware has: VLANs and aliases by their separators, the rest by custom.
func virtualName(name string) bool {
	if strings.ContainsAny(name, ".:") {
		return true
	}
	return slices.ContainsFunc([]string{"br-", "br", "virbr", "vnet", "tap", "tun", "bond", "team", "dummy", "docker", "ovs", "vlan", "wg"},
		func(p string) bool {
			rest, ok := strings.CutPrefix(name, p)
			return ok && (strings.HasSuffix(p, "-") || rest == "" || strings.Trim(rest, "0123456789-") == "")
		})
}

func (l *link) pattern() bool { return strings.ContainsAny(l.name, "*?[!, ") }

// mac notes a hardware address. Anything else that stands where one may stand ("permanent", "random") is no evidence.
func (l *link) mac(value, where string) {
	if hw, err := net.ParseMAC(strings.Trim(value, `"' `)); err == nil && len(hw) == 6 {
		l.macs = appendNew(l.macs, evidence{hw.String(), where})
	}
}

// addr notes an address, with a prefix length where one is known.
func (l *link) addr(value, where string) {
	value = strings.Trim(value, `"' `)
	if a, ok := addressOf(value); ok && !a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast() {
		l.addrs = appendNew(l.addrs, evidence{value, where})
	}
}

// addressOf reads "a" or "a/n".
func addressOf(s string) (netip.Addr, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil
}

func appendNew(list []evidence, e evidence) []evidence {
	if slices.ContainsFunc(list, func(o evidence) bool { return o.value == e.value }) {
		return list
	}
	return append(list, e)
}

// settle gives the MAC of a bridge to the one NIC below it, which is where the bridge had it from.
func (s *survey) settle() {
	for _, l := range s.sorted() {
		if !l.virtual || len(l.macs) == 0 {
			continue
		}
		ports := s.ports(l.name)
		if len(ports) == 0 {
			if all := s.hardware(); len(all) == 1 && l.name == "br-ex" {
				ports = all // an Open vSwitch bridge whose port only its database knew
			}
		}
		for _, m := range l.macs {
			if len(ports) == 1 {
				ports[0].macs = appendNew(ports[0].macs, m)
			} else {
				s.loose = appendNew(s.loose, m)
			}
		}
	}
}

// ports lists the NICs of a bridge.
func (s *survey) ports(bridge string) []*link {
	return slices.DeleteFunc(s.hardware(), func(l *link) bool { return l.master != bridge })
}

// hardware lists the NICs, by name.
func (s *survey) hardware() []*link {
	var list []*link
	for _, l := range s.sorted() {
		if !l.virtual && !l.pattern() {
			list = append(list, l)
		}
	}
	return list
}

// each reads the files that match a pattern, without the copies that editors and package managers leave.
func (s *survey) each(pattern string, do func(file string, data []byte)) {
	names, err := fs.Glob(s.root, pattern)
	if err != nil {
		return // a constant pattern; a test reads all of them
	}
	for _, n := range names {
		if leftover(path.Base(n)) {
			continue
		}
		if st, err := s.root.Stat(n); err != nil || !st.Mode().IsRegular() {
			continue
		}
		data, err := s.root.ReadFile(n)
		if err != nil {
			s.unread = append(s.unread, fmt.Errorf("cannot read /%s: %w", n, err))
			continue
		}
		do("/"+n, data)
	}
}

func leftover(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		slices.ContainsFunc([]string{".bak", ".orig", ".rpmnew", ".rpmorig", ".rpmsave", ".dpkg-old", ".dpkg-dist", ".dpkg-new", ".swp"},
			func(end string) bool { return strings.HasSuffix(name, end) })
}

// entries lists a file's settings. A file that its own reader would refuse is noted, since it may hide an address.
func (s *survey) entries(c text.Codec, file string, data []byte) []text.Entry {
	list, err := c.List(data)
	if err != nil {
		s.unread = append(s.unread, fmt.Errorf("cannot read %s: %w", file, err))
	}
	return list
}

// values are a file's settings by key; the last one counts.
func (s *survey) values(c text.Codec, file string, data []byte) map[string]string {
	out := map[string]string{}
	for _, e := range s.entries(c, file, data) {
		out[e.Key] = e.Value
	}
	return out
}

// sorted lists all links by name.
func (s *survey) sorted() []*link {
	var list []*link
	for _, name := range slices.Sorted(maps.Keys(s.links)) {
		list = append(list, s.links[name])
	}
	return list
}
