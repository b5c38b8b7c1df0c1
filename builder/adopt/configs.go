package adopt

import (
	"net"
	"path"
	"strconv"
	"strings"

	"goldsmith/firstboot/text/ifcfg"
	"goldsmith/firstboot/text/interfaces"
	"goldsmith/firstboot/text/keyfile"
	"goldsmith/firstboot/text/netplan"
)

// scripts reads Red Hat's ifcfg files, and what packstack's puppet makes of them.
func (s *survey) scripts() {
	s.each("etc/sysconfig/network-scripts/ifcfg-*", func(file string, data []byte) {
		v := s.values(ifcfg.Codec, file, data)
		name := v["DEVICE"]
		if name == "" {
			name = strings.TrimPrefix(path.Base(file), "ifcfg-")
		}
		l := s.link(name)
		switch v["TYPE"] {
		case "Bridge", "OVSBridge", "Bond", "OVSBond", "Vlan", "OVSIntPort", "OVSTunnel", "Team":
			l.virtual = true
		}
		for _, key := range []string{"BRIDGE", "OVS_BRIDGE", "MASTER"} {
			l.joins(v[key])
		}
		l.mac(v["HWADDR"], file)
		l.mac(v["MACADDR"], file)
		if mac, ok, err := ifcfg.BridgeMAC(data, name); err == nil && ok {
			l.mac(mac, file)
		}
		for _, port := range strings.Fields(v["OVSDHCPINTERFACES"]) {
			s.link(port).joins(name)
		}
		l.addr(withMask(v["IPADDR"], v["PREFIX"], v["NETMASK"]), file)
		l.addr(v["IPV6ADDR"], file)
		l.dhcp = l.dhcp || v["BOOTPROTO"] == "dhcp" || v["OVSBOOTPROTO"] == "dhcp"
		l.gateway = l.gateway || v["GATEWAY"] != "" || v["DEFROUTE"] == "yes" && (v["IPADDR"] != "" || l.dhcp)
	})
}

func (l *link) joins(master string) {
	if master != "" && l.master == "" {
		l.master = strings.Trim(master, `"'`)
	}
}

// withMask writes an address with the length of its prefix, however the file says it.
func withMask(addr, prefix, mask string) string {
	if addr == "" || strings.Contains(addr, "/") {
		return addr
	}
	if ip := net.ParseIP(strings.TrimSpace(mask)).To4(); ip != nil {
		ones, bits := net.IPMask(ip).Size()
		if bits == 32 {
			prefix = strconv.Itoa(ones)
		}
	}
	if prefix == "" {
		return addr
	}
	return addr + "/" + strings.TrimSpace(prefix)
}

// ifupdown reads Debian's interfaces(5).
func (s *survey) ifupdown() {
	read := func(file string, data []byte) {
		masks := map[string]map[string]string{}
		for _, e := range s.entries(interfaces.Codec, file, data) {
			words := strings.Fields(e.Key)
			if len(words) != 4 || words[0] != "iface" {
				continue
			}
			option, _, _ := strings.Cut(words[3], "#")
			stanza := words[1] + " " + words[2]
			if masks[stanza] == nil {
				masks[stanza] = map[string]string{}
			}
			masks[stanza][option] = e.Value
			s.stanza(words[1], option, e.Value, file)
		}
		for stanza, v := range masks {
			name, _, _ := strings.Cut(stanza, " ")
			s.link(name).addr(withMask(v["address"], "", v["netmask"]), file)
		}
	}
	s.each("etc/network/interfaces", read)
	s.each("etc/network/interfaces.d/*", read)
}

// stanza takes one option of an iface.
func (s *survey) stanza(name, option, value, file string) {
	l := s.link(name)
	switch option {
	case "method":
		l.dhcp = l.dhcp || strings.HasPrefix(value, "dhcp")
	case "hwaddress", "bridge_hw":
		l.mac(value, file)
	case "gateway":
		l.gateway = true
	case "bridge_ports", "bond-slaves", "ovs_ports":
		l.virtual = true
		for _, port := range strings.Fields(value) {
			if port != "none" {
				s.link(port).joins(name)
			}
		}
	case "ovs_bridge", "bond-master":
		l.joins(value)
	case "ovs_type":
		l.virtual = l.virtual || value != "OVSPort"
	}
}

// netplan reads what the library of its rewriter lists: keys are paths below "network".
func (s *survey) netplan() {
	s.each("etc/netplan/*.yaml", func(file string, data []byte) {
		list := s.entries(netplan.Codec, file, data)
		names := map[string]string{} // an id is the device's name unless set-name or match say more
		for _, e := range list {
			kind, rest, _ := strings.Cut(e.Key, "/")
			id, key, _ := strings.Cut(rest, "/")
			if kind == "ethernets" && (key == "set-name" || key == "match/name" && names[id] == "") {
				names[id] = e.Value
			}
		}
		for _, e := range list {
			kind, rest, ok := strings.Cut(e.Key, "/")
			id, key, more := strings.Cut(rest, "/")
			if !ok || !more {
				continue
			}
			name := id
			if names[id] != "" {
				name = names[id]
			}
			s.definition(kind, name, key, e.Value, file)
		}
	})
}

// definition takes one setting of netplan.
func (s *survey) definition(kind, name, key, value, file string) {
	switch kind {
	case "ethernets", "wifis", "bridges", "bonds", "vlans":
	default:
		return
	}
	l := s.link(name)
	l.virtual = l.virtual || kind != "ethernets" && kind != "wifis"
	base, _, _ := strings.Cut(key, "#")
	switch {
	case base == "macaddress" || key == "match/macaddress":
		l.mac(value, file)
	case base == "addresses":
		l.addr(value, file)
	case key == "dhcp4":
		l.dhcp = l.dhcp || value == "true" || value == "yes"
	case key == "gateway4":
		l.gateway = true
	case base == "interfaces":
		s.link(value).joins(name)
	case strings.HasPrefix(key, "routes#") && strings.HasSuffix(key, "/to"):
		l.gateway = l.gateway || value == "default" || value == "0.0.0.0/0"
	}
}

// networkd reads .network, .netdev and .link files.
func (s *survey) networkd() {
	s.each("etc/systemd/network/*.netdev", func(file string, data []byte) {
		v := s.values(keyfile.Codec, file, data)
		l := s.link(v["[NetDev] Name"])
		l.virtual = true
		l.mac(v["[NetDev] MACAddress"], file)
	})
	s.each("etc/systemd/network/*.link", func(file string, data []byte) {
		v := s.values(keyfile.Codec, file, data)
		name := v["[Link] Name"]
		for _, key := range []string{"[Match] MACAddress", "[Match] PermanentMACAddress", "[Link] MACAddress"} {
			s.bound(name, v[key], file)
		}
	})
	s.each("etc/systemd/network/*.network", s.network)
}

// bound notes a MAC with the link that it belongs to, or without one.
func (s *survey) bound(name, mac, file string) {
	if name != "" {
		s.link(name).mac(mac, file)
		return
	}
	var l link
	l.mac(mac, file)
	for _, m := range l.macs {
		s.loose = appendNew(s.loose, m)
	}
}

// network reads one .network file. Its sections repeat, so keys are taken one by one.
func (s *survey) network(file string, data []byte) {
	list := s.entries(keyfile.Codec, file, data)
	name, mac := "", ""
	for _, e := range list {
		switch e.Key {
		case "[Match] Name":
			name = e.Value
		case "[Match] MACAddress", "[Match] PermanentMACAddress":
			mac = e.Value
		}
	}
	if name == "" && mac == "" {
		return
	}
	if name == "" {
		name = "*"
	}
	l := s.link(name)
	if l.pattern() {
		s.bound("", mac, file)
	} else {
		l.mac(mac, file)
	}
	for _, e := range list {
		section, key, _ := strings.Cut(strings.TrimPrefix(e.Key, "["), "] ")
		section, _, _ = strings.Cut(section, "#")
		switch section + " " + key {
		case "Network Address", "Address Address":
			l.addr(e.Value, file)
		case "Network DHCP":
			l.dhcp = l.dhcp || e.Value != "no" && e.Value != "false" && e.Value != "ipv6"
		case "Network Gateway":
			l.gateway = true
		case "Network Bridge", "Network Bond":
			l.joins(e.Value)
		case "Link MACAddress":
			l.mac(e.Value, file)
		}
	}
}

// networkManager reads connection profiles.
func (s *survey) networkManager() {
	s.each("etc/NetworkManager/system-connections/*", func(file string, data []byte) {
		v := s.values(keyfile.Codec, file, data)
		name := v["[connection] interface-name"]
		kind := v["[connection] type"]
		if name == "" && v["[connection] id"] != "" && kind == "ethernet" {
			name = "*" // any NIC
		}
		l := s.link(name)
		l.virtual = l.virtual || kind == "bridge" || kind == "bond" || kind == "vlan" || strings.HasPrefix(kind, "ovs-bridge") || kind == "ovs-interface"
		l.joins(v["[connection] master"])
		l.joins(v["[connection] controller"])
		for _, key := range []string{"[ethernet] mac-address", "[802-3-ethernet] mac-address", "[ethernet] cloned-mac-address", "[bridge] mac-address"} {
			if l.pattern() {
				s.bound("", v[key], file)
			} else {
				l.mac(v[key], file)
			}
		}
		for key, value := range v {
			if isNumbered(key, "[ipv4] address") || isNumbered(key, "[ipv6] address") {
				addr, gw, found := strings.Cut(value, ",")
				l.addr(addr, file)
				l.gateway = l.gateway || found && gw != ""
			}
		}
		l.dhcp = l.dhcp || v["[ipv4] method"] == "auto"
		l.gateway = l.gateway || v["[ipv4] gateway"] != ""
	})
}

// isNumbered tells address1, address2 and so on.
func isNumbered(key, prefix string) bool {
	rest, ok := strings.CutPrefix(key, prefix)
	return ok && rest != "" && strings.Trim(rest, "0123456789") == ""
}
