package fleet

import (
	"crypto/sha256"
	"fmt"
	"net"
	"regexp"

	"goldsmith/firstboot/report"
)

// DefaultOUI is the prefix of MACs that QEMU and libvirt use for virtual machines.
const DefaultOUI = "52:54:00"

// nameRule is a host name label that leaves room for "-9999" behind it.
var nameRule = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)

func checkName(name string) error {
	if nameRule.MatchString(name) {
		return nil
	}
	return report.Faultf(report.Usage, "cannot call a fleet %q: want small letters, digits and hyphens, a letter first, at most 40", name).
		WithHint("--name demo")
}

// cloneName is the host name of the n-th clone of a fleet, counted from 1.
func cloneName(fleet string, n int) string { return fmt.Sprintf("%s-%d", fleet, n) }

// parseOUI reads three octets. A group address is refused: a NIC cannot have one, and switches would flood it.
func parseOUI(s string) ([3]byte, error) {
	hw, err := net.ParseMAC(s + ":00:00:00")
	if err != nil || len(hw) != 6 {
		return [3]byte{}, report.Faultf(report.Usage, "cannot use %q as the first half of MACs: want three octets", s).
			WithHint("--oui %s", DefaultOUI)
	}
	if hw[0]&1 != 0 {
		return [3]byte{}, report.Faultf(report.Usage, "cannot use %q as the first half of MACs: it is a multicast prefix", s).
			WithHint("--oui %s", DefaultOUI)
	}
	return [3]byte(hw[:3]), nil
}

// pickMAC returns the MAC of the named clone: the same for the same name and prefix, unless that one is taken; then the
// next of a series that is also always the same. taken is asked with lower case and colons.
func pickMAC(oui [3]byte, clone string, taken func(mac string) bool) (string, error) {
	for try := range 1 << 16 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s#%d", clone, try))
		mac := net.HardwareAddr{oui[0], oui[1], oui[2], sum[0], sum[1], sum[2]}.String()
		if !taken(mac) {
			return mac, nil
		}
	}
	return "", report.Faultf(report.Usage, "cannot find a free MAC for %s below %x", clone, oui).WithHint("--oui 02:00:00")
}
