package rewriters

import (
	"net/netip"
	"strings"

	"goldsmith/firstboot/text/authority"
)

// Address follows the public face: a baked or earlier address becomes the clone's, anything else stays. Loopback stays.
func Address(s *Scene, was string) (string, error) { return s.address(was, false), nil }

// PublicAddress is Address for a value that is the public face even where it was baked as loopback.
func PublicAddress(s *Scene, was string) (string, error) { return s.address(was, true), nil }

// URL follows the identity in the host of every authority of a URL, address for address and name for name; everything else
// in it stays byte for byte.
func URL(s *Scene, was string) (string, error) { return s.url(was, false), nil }

// PublicURL is for a URL that others call: every old host in it, loopback and names too, becomes the public address.
func PublicURL(s *Scene, was string) (string, error) { return s.url(was, true), nil }

// Name follows the host name: short stays short, qualified stays qualified, anything else stays.
func Name(s *Scene, was string) (string, error) { return s.name(was), nil }

// Host follows both: an address or a name.
func Host(s *Scene, was string) (string, error) {
	if _, err := netip.ParseAddr(strings.Trim(was, "[]")); err == nil {
		return s.address(was, false), nil
	}
	return s.name(was), nil
}

// MAC follows the NIC that carries the public face. The case of the baked value's letters is not kept: tools write lower.
func MAC(s *Scene, was string) (string, error) {
	if !s.Old.MAC(was) {
		return was, nil
	}
	want := s.To.MAC(s.To.Interface)
	if want == "" || SameMAC(want, was) {
		return was, nil
	}
	return want, nil
}

func (s *Scene) address(was string, loopback bool) string {
	a, err := netip.ParseAddr(strings.Trim(was, "[]"))
	if err != nil || !s.To.Address.IsValid() {
		return was
	}
	if !s.wasOurs(a) && !(loopback && a.Unmap().IsLoopback()) {
		return was
	}
	want := s.face(a)
	if want == a {
		return was
	}
	if strings.HasPrefix(was, "[") {
		return bracket(want.String())
	}
	return want.String()
}

// face returns the clone's address that takes the place of a: IPv6 for IPv6 where the clone has one.
func (s *Scene) face(a netip.Addr) netip.Addr {
	if a.Is6() && !a.Is4In6() && s.To.Address6.IsValid() {
		return s.To.Address6
	}
	return s.To.Address
}

func (s *Scene) url(was string, public bool) string {
	out := was
	for _, h := range authority.Hosts(was) {
		want := s.hostInURL(h, public)
		if want != "" && want != h {
			out, _ = authority.Rewrite(out, func(x string) bool { return x == h }, want)
		}
	}
	return out
}

// hostInURL returns what takes the place of h, or "" to leave it. A public URL ends up with an address in any case: who
// reads it does not know the clone's name.
func (s *Scene) hostInURL(h string, public bool) string {
	a, err := netip.ParseAddr(strings.Trim(h, "[]"))
	switch {
	case err != nil && !public:
		if n := s.name(h); n != h {
			return n
		}
		return ""
	case !s.To.Address.IsValid() || !s.ours(h, public):
		return ""
	case err == nil:
		return s.face(a).String()
	default:
		return s.To.Address.String()
	}
}

// wasOurs tells whether an address belonged to this disk and does not belong to another node of the cluster by now: DHCP
// may have given it away.
func (s *Scene) wasOurs(a netip.Addr) bool {
	for _, p := range s.To.Peers {
		if p == a.Unmap() {
			return false
		}
	}
	return s.Old.Address(a)
}

func (s *Scene) name(was string) string {
	if s.To.Hostname == "" || !s.Old.Name(was) {
		return was
	}
	if strings.Contains(was, ".") {
		return s.To.FQDN()
	}
	return s.To.Hostname
}

// ours tells whether a host in a URL was this machine. Where the URL is what others call, loopback was, too.
func (s *Scene) ours(h string, public bool) bool {
	if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil && s.wasOurs(a) {
		return true
	}
	return s.Old.Name(h) || public && Loopback(h)
}
