package adopt

import (
	"bytes"
	"encoding/json"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"

	"goldsmith/firstboot/text/dhclient"
	"goldsmith/firstboot/text/shellvar"
)

// udevRule is a line of 70-persistent-net.rules, which binds a name to a MAC.
var udevRule = regexp.MustCompile(`ATTR\{address\}=="([^"]+)".*NAME="([^"]+)"`)

// udev reads the names that udev was told to give.
func (s *survey) udev() {
	s.each("etc/udev/rules.d/*-persistent-net.rules", func(file string, data []byte) {
		for line := range strings.Lines(string(data)) {
			if m := udevRule.FindStringSubmatch(line); m != nil && !strings.HasPrefix(strings.TrimSpace(line), "#") {
				s.bound(m[2], m[1], file)
			}
		}
	})
}

// leases reads what DHCP servers have lent to the machine; of several leases in one file the last counts.
func (s *survey) leases() {
	for _, dir := range []string{"var/lib/dhcp/*.lease*", "var/lib/dhclient/*.lease*"} {
		s.each(dir, s.dhclientLease)
	}
	s.each("var/lib/NetworkManager/*.lease", s.managerLease)
	s.each("var/lib/systemd/network/*.lease", s.managerLease)
	for _, dir := range []string{"var/lib/dhcpcd/*.lease", "var/lib/dhcpcd5/*.lease"} {
		s.each(dir, s.dhcpcdLease)
	}
}

func (s *survey) dhclientLease(file string, data []byte) {
	list, err := dhclient.Parse(data)
	if err != nil {
		return // cut off while it was written: the daemon starts anew, too
	}
	var name, addr, mask string
	for _, st := range list {
		switch w := st.Words; {
		case len(w) == 1 && st.Block: // "lease {"
			name, addr, mask = "", "", ""
		case len(w) == 2 && w[0].Text == "interface":
			name = w[1].Text
		case len(w) == 2 && w[0].Text == "fixed-address":
			addr = w[1].Text
		case len(w) == 3 && w[0].Text == "option" && w[1].Text == "subnet-mask":
			mask = w[2].Text
		}
	}
	if name != "" {
		s.link(name).addr(withMask(addr, "", mask), file)
	}
}

// managerLease reads NetworkManager's own (internal-UUID-LINK.lease) and systemd's, which are variables.
func (s *survey) managerLease(file string, data []byte) {
	base := strings.TrimSuffix(path.Base(file), ".lease")
	name := base[strings.LastIndexByte(base, '-')+1:]
	if strings.HasPrefix(base, "dhclient-") {
		s.dhclientLease(file, data)
		return
	}
	v := s.values(shellvar.Codec, file, data)
	if v["ADDRESS"] != "" && strings.Trim(name, "0123456789") != "" {
		s.link(name).addr(withMask(v["ADDRESS"], "", v["NETMASK"]), file)
	}
}

// Where dhcpcd's lease, the server's last packet, has the address that was lent and the NIC's own (RFC 2131, section 2).
const (
	yiaddrAt = 16
	chaddrAt = 28
	minBOOTP = 240
)

func (s *survey) dhcpcdLease(file string, data []byte) {
	if len(data) < minBOOTP || data[0] != 2 { // BOOTREPLY
		return
	}
	name, _, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".lease"), "-") // with the radio cell behind it
	l := s.link(name)
	l.addr(netip.AddrFrom4([4]byte(data[yiaddrAt:])).String(), file)
	l.mac(net.HardwareAddr(data[chaddrAt:chaddrAt+6]).String(), file)
}

// openVSwitch reads the bridges' MACs out of the database's log. It holds transactions as lines of JSON; the last word
// about a column counts. A clustered database has another format, and belongs to OVN.
func (s *survey) openVSwitch() {
	s.each("etc/openvswitch/conf.db", func(file string, data []byte) {
		names, macs := map[string]string{}, map[string]string{}
		for record := range records(data) {
			for id, row := range record {
				if row.Name != "" {
					names[id] = row.Name
				}
				if mac, ok := row.hwaddr(); ok && mac == macs[id] {
					delete(macs, id) // a difference that names what is there takes it away (ovsdb(7), since 2.14)
				} else if ok {
					macs[id] = mac
				}
			}
		}
		for id, mac := range macs {
			l := s.link(names[id])
			l.virtual = true
			l.mac(mac, file)
		}
	})
}

// A bridgeRow is what interests of a row of Bridge.
type bridgeRow struct {
	Name   string `json:"name"`
	Config []any  `json:"other_config"`
}

// hwaddr finds the key in ["map", [[key, value], ...]].
func (b bridgeRow) hwaddr() (string, bool) {
	if len(b.Config) != 2 {
		return "", false
	}
	pairs, _ := b.Config[1].([]any)
	for _, p := range pairs {
		pair, ok := p.([]any)
		if !ok || len(pair) != 2 || pair[0] != "hwaddr" {
			continue
		}
		mac, ok := pair[1].(string)
		return strings.ToLower(mac), ok
	}
	return "", false
}

// records yields the Bridge part of each transaction: "OVSDB JSON LENGTH SHA1\n" and LENGTH bytes.
func records(data []byte) func(func(map[string]bridgeRow) bool) {
	return func(yield func(map[string]bridgeRow) bool) {
		for len(data) > 0 {
			head, rest, ok := bytes.Cut(data, []byte("\n"))
			words := strings.Fields(string(head))
			if !ok || len(words) != 4 || words[0] != "OVSDB" || words[1] != "JSON" {
				return
			}
			n, err := strconv.ParseUint(words[2], 10, 31)
			if err != nil || uint64(len(rest)) < n {
				return
			}
			var record struct{ Bridge map[string]bridgeRow }
			if json.Unmarshal(rest[:n], &record) == nil && !yield(record.Bridge) {
				return
			}
			data = rest[n:]
		}
	}
}

// endpointURL is the identity service's URL as rows of keystone's catalogue have it.
var endpointURL = regexp.MustCompile(`https?://([0-9]{1,3}(?:\.[0-9]{1,3}){3}):5000\b`)

// stackAddresses are addresses that the stacks call their own. They confirm what the network says, or stand in for it.
func (s *survey) stackAddresses() []evidence {
	var l link
	s.each("var/lib/mysql/keystone/endpoint.ibd", func(file string, data []byte) {
		for _, m := range endpointURL.FindAllSubmatch(data, -1) {
			l.addr(string(m[1]), file)
		}
	})
	for _, f := range []string{"etc/nova/nova.conf", "etc/cinder/cinder.conf"} {
		s.each(f, func(file string, data []byte) {
			for line := range strings.Lines(string(data)) {
				if key, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(key) == "my_ip" {
					l.addr(strings.TrimSpace(value), file)
				}
			}
		})
	}
	return l.addrs
}
