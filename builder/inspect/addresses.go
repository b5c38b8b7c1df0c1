package inspect

import (
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"goldsmith/builder/tree"
)

// addressFiles are where a machine's own addresses stand; what services say of it is the audit's business.
var addressFiles = []string{
	"etc/hosts", "etc/network/interfaces", "etc/network/interfaces.d/*", "etc/netplan/*.yaml", "etc/systemd/network/*",
	"etc/sysconfig/network-scripts/ifcfg-*", "etc/NetworkManager/system-connections/*",
	"etc/udev/rules.d/70-persistent*", "etc/cloud/cloud.cfg.d/*", "root/packstack-answers-*.txt",
}

var (
	addressPattern = regexp.MustCompile(`\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b`)
	macPattern     = regexp.MustCompile(`\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b`)
)

// maxPlaces bounds a report.
const maxPlaces = 200

// addresses lists the addresses and MACs in the files above, each value with the first place where it stands.
func addresses(root *tree.FS) (addrs, macs []Place) {
	for _, glob := range addressFiles {
		names, err := fs.Glob(root, glob)
		if err != nil {
			continue
		}
		for _, n := range names {
			b, err := root.ReadFile(n)
			if err != nil {
				continue
			}
			number := 0
			for line := range strings.Lines(string(b)) {
				number++
				if strings.HasPrefix(strings.TrimSpace(line), "#") {
					continue
				}
				where := fmt.Sprintf("/%s:%d", n, number)
				addrs = add(addrs, where, addressPattern.FindAllString(line, -1), isHostAddress)
				macs = add(macs, where, macPattern.FindAllString(line, -1), isHostMAC)
			}
		}
	}
	return addrs, macs
}

func add(list []Place, where string, values []string, keep func(string) bool) []Place {
	for _, v := range values {
		v = strings.ToLower(v)
		known := slices.ContainsFunc(list, func(p Place) bool { return p.Value == v })
		if keep(v) && !known && len(list) < maxPlaces {
			list = append(list, Place{v, where})
		}
	}
	return list
}

// isHostAddress leaves out loopback, network masks, "any" and multicast.
func isHostAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() && !strings.HasPrefix(s, "255.")
}

func isHostMAC(s string) bool {
	s = strings.ReplaceAll(s, "-", ":")
	return s != "00:00:00:00:00:00" && s != "ff:ff:ff:ff:ff:ff"
}
