package rewriters

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// macPrefix returns the clone's MAC_PREFIX, two octets, or "" once the clone has one: VMs keep their MACs.
//
// 14 bits are free (six in the first octet: it stays unicast and locally administered). They are the low bits of the clone's own
// MAC, which the place where it lives gave it: pools that count upwards (oVirt, VMware, OpenNebula) give each clone another
// prefix; where MACs are random, two of 50 clones share one with 7 % probability. The address would be as good, but it changes,
// and a clone that was made in two runs would not be the clone that is made in one.
func (s *Scene) macPrefix() string {
	if !s.Rekey || s.Keeps("opennebula/macs") {
		return ""
	}
	own, err := hex.DecodeString(bareMAC(s.To.MAC(s.To.Interface)))
	if err != nil || len(own) != 6 || own[4]&0x3f == 0 && own[5] == 0 { // that would be 02:00, every OpenNebula's default
		own = s.SecretBytes("opennebula/macs", 6)
	}
	return fmt.Sprintf("%02x:%02x", own[4]<<2|2, own[5])
}

// underPrefix gives a locally administered MAC the clone's prefix and keeps its other four octets: in an IP4 range those are the
// address. Other MACs were assigned by somebody and stay.
func underPrefix(prefix, mac string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(mac, ":", ""))
	if err != nil || len(b) != 6 || len(mac) != 17 || b[0]&3 != 2 {
		return mac
	}
	return prefix + strings.ToLower(mac[5:])
}

var (
	rangeElement = regexp.MustCompile(`(?s)<AR>.*?</AR>`)
	rangeMAC     = regexp.MustCompile(`<MAC>(?:<!\[CDATA\[)?([0-9A-Fa-f:]{17})`)
	rangeSize    = regexp.MustCompile(`<SIZE>(?:<!\[CDATA\[)?(\d+)`)
)

// A macRange is the MACs of one address range, first to last.
type macRange struct {
	network     string
	first, last uint64
}

// ranges reads the address ranges of a network's body.
func ranges(network, body string, mac func(string) string) []macRange {
	var out []macRange
	for _, ar := range rangeElement.FindAllString(body, -1) {
		m, n := rangeMAC.FindStringSubmatch(ar), rangeSize.FindStringSubmatch(ar)
		if m == nil || n == nil {
			continue
		}
		first, err1 := strconv.ParseUint(strings.ReplaceAll(mac(m[1]), ":", ""), 16, 64)
		size, err2 := strconv.ParseUint(n[1], 10, 32)
		if err1 == nil && err2 == nil && size > 0 {
			out = append(out, macRange{network, first, first + size - 1})
		}
	}
	return out
}

// newOverlaps names the pairs of ranges that were apart and would meet.
func newOverlaps(before, after []macRange) []string {
	var out []string
	for i := range after {
		for j := range i {
			if meet(after[i], after[j]) && !meet(before[i], before[j]) {
				out = append(out, fmt.Sprintf("networks %s and %s", after[j].network, after[i].network))
			}
		}
	}
	return out
}

func meet(a, b macRange) bool { return a.first <= b.last && b.first <= a.last }
