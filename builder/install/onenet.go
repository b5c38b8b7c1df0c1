package install

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"goldsmith/firstboot/text/oned"
)

// A Network is a virtual network of OpenNebula.
type Network struct {
	Name string
	// Driver: bridge, fw (bridge with security groups), 802.1Q, vxlan, ovswitch, ovswitch_vxlan.
	Driver string
	Bridge string // bridge and fw: exists on every node; ovswitch: the switch; else made by the driver
	Link   string // 802.1Q, vxlan, ovswitch_vxlan: the physical link below
	VLAN   int    // 802.1Q: 1 to 4094; vxlan: the VNI; ovswitch: optional tag; 0 lets oned choose where it can
	// FilterIP and FilterMAC keep a guest from using addresses that are not its own.
	FilterIP, FilterMAC bool
	First               netip.Addr   // first address of the range; invalid: an ETHER range, addresses come from elsewhere
	Size                int          // addresses in the range; default 254
	Gateway             netip.Addr   // optional
	DNS                 []netip.Addr // optional
	Mask                netip.Prefix // the network that First is in
}

// BridgedNetwork is a plain bridge with security groups and both spoof filters: what a network needs beside a [Lockdown].
func BridgedNetwork(name, bridge string) Network {
	return Network{Name: name, Driver: "fw", Bridge: bridge, FilterIP: true, FilterMAC: true}
}

// Check returns all mistakes at once.
func (n Network) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("network %q: "+format, append([]any{n.Name}, args...)...))
	}
	onBridge := n.Driver == "bridge" || n.Driver == "fw" || n.Driver == "ovswitch"
	onLink := n.Driver == "802.1Q" || n.Driver == "vxlan" || n.Driver == "ovswitch_vxlan"
	switch {
	case n.Name == "":
		bad("it has no name")
	case !onBridge && !onLink:
		bad("%q is no driver", n.Driver)
	case onBridge && !linkName.MatchString(n.Bridge):
		bad("driver %s needs the name of a bridge that is on every node", n.Driver)
	case onLink && !linkName.MatchString(n.Link):
		bad("driver %s needs the name of a link that is on every node", n.Driver)
	}
	if n.Driver == "802.1Q" && (n.VLAN < 0 || n.VLAN > 4094) || strings.HasSuffix(n.Driver, "vxlan") && (n.VLAN < 0 || n.VLAN >= 1<<24) {
		bad("%d is no %s id", n.VLAN, n.Driver)
	}
	if (n.Driver == "bridge" || n.Driver == "fw") && n.VLAN != 0 {
		bad("driver %s has no VLANs\nhint: 802.1Q has", n.Driver)
	}
	if n.FilterIP && n.Driver == "bridge" {
		bad("driver bridge filters nothing\nhint: fw does")
	}
	if n.First.IsValid() && n.Mask.IsValid() && !n.Mask.Contains(n.First) {
		bad("%v is not in %v", n.First, n.Mask)
	}
	if n.Gateway.IsValid() && n.Mask.IsValid() && !n.Mask.Contains(n.Gateway) {
		bad("gateway %v is not in %v", n.Gateway, n.Mask)
	}
	return errors.Join(errs...)
}

// Template renders it for onevnet create, or one.vn.allocate. No MAC is in it: oned makes them under MAC_PREFIX, which is the
// clone's own.
func (n Network) Template() (string, error) {
	if err := n.Check(); err != nil {
		return "", err
	}
	pairs := [][2]string{{"NAME", n.Name}, {"VN_MAD", n.Driver}}
	add := func(name, value string) {
		if value != "" {
			pairs = append(pairs, [2]string{name, value})
		}
	}
	add("BRIDGE", n.Bridge)
	add("PHYDEV", n.Link)
	switch {
	case n.VLAN > 0:
		add("VLAN_ID", fmt.Sprint(n.VLAN))
	case n.Driver == "802.1Q" || strings.HasSuffix(n.Driver, "vxlan"):
		add("AUTOMATIC_VLAN_ID", "YES")
	}
	if n.FilterIP {
		add("FILTER_IP_SPOOFING", "YES")
	}
	if n.FilterMAC {
		add("FILTER_MAC_SPOOFING", "YES")
	}
	if n.Driver == "fw" {
		add("SECURITY_GROUPS", "0")
	}
	if n.Gateway.IsValid() {
		add("GATEWAY", n.Gateway.String())
	}
	var dns []string
	for _, d := range n.DNS {
		dns = append(dns, d.String())
	}
	add("DNS", strings.Join(dns, " "))
	if n.Mask.IsValid() {
		add("NETWORK_ADDRESS", n.Mask.Masked().Addr().String())
		add("NETWORK_MASK", dotted(n.Mask))
	}
	text, err := template(pairs)
	if err != nil {
		return "", err
	}
	out, err := oned.Add([]byte(text), n.addressRange())
	return string(out), err
}

func (n Network) addressRange() oned.Attr {
	size := n.Size
	if size == 0 {
		size = 254
	}
	ar := oned.Attr{Name: "AR", Vector: true, Pairs: []oned.Pair{{Name: "TYPE", Value: "ETHER"}, {Name: "SIZE", Value: fmt.Sprint(size)}}}
	if n.First.IsValid() {
		ar.Pairs[0].Value = "IP4"
		ar.Pairs = append(ar.Pairs, oned.Pair{Name: "IP", Value: n.First.String()})
	}
	return ar
}

// dotted is the mask of an IPv4 network.
func dotted(p netip.Prefix) string {
	m := ^uint32(0) << (32 - p.Bits())
	return netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}).String()
}

// A HostBridge is a bridge of the hypervisor, on which guests of a bridged network hang.
type HostBridge struct {
	Name string // "br0"
	Port string // physical link below it: "eno1"
	// Address: DHCP where Dynamic is set, the given one where it is valid, else none: a bridge for guests only.
	Dynamic bool
	Address netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
}

// Check returns all mistakes at once.
func (b HostBridge) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("bridge %q: "+format, append([]any{b.Name}, args...)...))
	}
	if b.Name == b.Port {
		bad("it cannot be its own port")
	}
	if b.Dynamic && (b.Address.IsValid() || b.Gateway.IsValid()) {
		bad("with DHCP it has no address of its own")
	}
	if b.Address.IsValid() && b.Address == b.Address.Masked() && !b.Address.IsSingleIP() {
		bad("%v is a network, not an address in it", b.Address)
	}
	if b.Gateway.IsValid() && !b.Address.Contains(b.Gateway) {
		bad("gateway %v cannot be reached from %v", b.Gateway, b.Address)
	}
	return errors.Join(errs...)
}

// BridgeEdits write the files of a bridge for whoever manages the machine's network.
func BridgeEdits(b HostBridge, manager string) []Edit {
	file := func(path string, mode fs.FileMode, text string) Edit {
		return Edit{Name: "bridge " + b.Name, Path: path, Create: mode, Change: whole(text)}
	}
	switch manager {
	case "netplan":
		return []Edit{file("/etc/netplan/60-"+b.Name+".yaml", 0o600, b.Netplan())}
	case "ifupdown":
		return []Edit{file("/etc/network/interfaces.d/"+b.Name, 0o644, b.Ifupdown())}
	}
	var edits []Edit
	files := b.Networkd()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		edits = append(edits, file("/etc/systemd/network/"+name, 0o644, files[name]))
	}
	return edits
}

// Netplan renders the bridge for netplan (file mode 0600). The default route is a route: gateway4 is deprecated. A bridge with
// DHCP takes the MAC of its port, so the lease stays that of the machine.
func (b HostBridge) Netplan() string {
	var s strings.Builder
	fmt.Fprintf(&s, "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    %s:\n      dhcp4: false\n      dhcp6: false\n  bridges:\n    %s:\n"+
		"      interfaces: [%[1]s]\n      parameters:\n        stp: false\n        forward-delay: 0\n      dhcp4: %[3]v\n      dhcp6: false\n",
		b.Port, b.Name, b.Dynamic)
	switch {
	case b.Dynamic:
		s.WriteString("      dhcp-identifier: mac\n")
	case b.Address.IsValid():
		fmt.Fprintf(&s, "      addresses: [%v]\n", b.Address)
	default:
		s.WriteString("      link-local: []\n")
	}
	if b.Gateway.IsValid() {
		fmt.Fprintf(&s, "      routes:\n        - to: default\n          via: %v\n", b.Gateway)
	}
	if len(b.DNS) > 0 {
		fmt.Fprintf(&s, "      nameservers:\n        addresses: [%s]\n", addressList(b.DNS, ", "))
	}
	return s.String()
}

// Networkd renders the bridge for systemd-networkd: file name to content.
func (b HostBridge) Networkd() map[string]string {
	network := "[Match]\nName=" + b.Name + "\n\n[Network]\n"
	switch {
	case b.Dynamic:
		network += "DHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n"
	case b.Address.IsValid():
		network += "Address=" + b.Address.String() + "\n"
		if b.Gateway.IsValid() {
			network += "Gateway=" + b.Gateway.String() + "\n"
		}
		for _, d := range b.DNS {
			network += "DNS=" + d.String() + "\n"
		}
	default:
		network += "LinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n"
	}
	return map[string]string{
		"10-" + b.Name + ".netdev":       "[NetDev]\nName=" + b.Name + "\nKind=bridge\nMACAddress=none\n\n[Bridge]\nSTP=no\nForwardDelaySec=0\n",
		"10-" + b.Name + ".link":         "[Match]\nOriginalName=" + b.Name + "\n\n[Link]\nMACAddressPolicy=none\n",
		"10-" + b.Name + "-port.network": "[Match]\nName=" + b.Port + "\n\n[Network]\nBridge=" + b.Name + "\n",
		"11-" + b.Name + ".network":      network,
	}
}

// Ifupdown renders the bridge for /etc/network/interfaces.d (package bridge-utils or iproute2's bridge helper).
func (b HostBridge) Ifupdown() string {
	method, rest := "manual", ""
	switch {
	case b.Dynamic:
		method = "dhcp"
	case b.Address.IsValid():
		method, rest = "static", "    address "+b.Address.String()+"\n"
		if b.Gateway.IsValid() {
			rest += "    gateway " + b.Gateway.String() + "\n"
		}
		if len(b.DNS) > 0 {
			rest += "    dns-nameservers " + addressList(b.DNS, " ") + "\n"
		}
	}
	return fmt.Sprintf("auto %s\niface %[1]s inet manual\n\nauto %s\niface %[2]s inet %s\n%s    bridge_ports %[1]s\n    bridge_stp off\n    bridge_fd 0\n",
		b.Port, b.Name, method, rest)
}

func addressList(list []netip.Addr, sep string) string {
	var out []string
	for _, a := range list {
		out = append(out, a.String())
	}
	return strings.Join(out, sep)
}
