package rewriters

import (
	"net/netip"
	"strings"

	"goldsmith/firstboot/identity"
)

// Old is every identity that a disk ever had: the baked one, and each that was begun since. A value that belongs to any of
// them is ours to replace, so a clone of a clone, or of a half-made one, converges like a direct one.
type Old []identity.Identity

// Address tells whether a was the public face of this disk.
func (o Old) Address(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false
	}
	for _, id := range o {
		if a == id.Address || a == id.Address6 {
			return true
		}
	}
	return false
}

// Name tells whether h was this disk's short host name or its FQDN. Case is ignored, as resolvers do.
func (o Old) Name(h string) bool {
	h = strings.ToLower(strings.TrimSuffix(h, "."))
	for _, id := range o {
		if h != "" && (h == strings.ToLower(id.Hostname) || h == strings.ToLower(id.FQDN())) {
			return true
		}
	}
	return false
}

// MAC tells whether m was the address of a NIC of this disk. Separators and case are ignored.
func (o Old) MAC(m string) bool {
	for _, id := range o {
		for _, n := range id.NICs {
			if SameMAC(n.MAC, m) {
				return true
			}
		}
	}
	return false
}

// Host tells whether h, an address or a name as it stands in a URL, is ours to replace.
func (o Old) Host(h string) bool {
	if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
		return o.Address(a)
	}
	return o.Name(h)
}

// Loopback tells whether h means the machine itself: where a face was baked as loopback (packstack's 127.0.0.1), that is an
// old value too.
func Loopback(h string) bool {
	if a, err := netip.ParseAddr(strings.Trim(h, "[]")); err == nil {
		return a.Unmap().IsLoopback()
	}
	return strings.EqualFold(h, "localhost")
}

// SameMAC compares two hardware addresses written in any usual way.
func SameMAC(a, b string) bool {
	a, b = bareMAC(a), bareMAC(b)
	return a != "" && a == b
}

func bareMAC(m string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdef", r) {
			return r
		}
		return -1
	}, strings.ToLower(m))
}
