package install

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// A Lockdown keeps guests away from the storage network. Vitastor asks nobody for a password: whoever reaches its OSDs and etcd
// reads and writes every disk.
//
// It is for hosts whose guests hang on a plain bridge. Where guests have a VLAN of their own, check that with [SharedWire]
// instead. Security groups and FILTER_IP_SPOOFING of OpenNebula are needed beside it (see [BridgedNetwork]): they keep guests
// from using each other's addresses, but do not cover traffic to the host itself.
type Lockdown struct {
	// Bridge is the guests' bridge, "onebr0". Empty: every bridge of the host, for kernels without nft_meta_bridge (stock
	// kernels of distributions have it); all ports that are not guests' must then be uplinks.
	Bridge  string
	Uplinks []string       // ports of the bridge that lead out of the host: "eth0"; empty where it has none
	Guests  []netip.Prefix // addresses that guests may use; IPv4 or IPv6
	Storage []netip.Prefix // the hypervisors' and the storage's networks
}

var linkName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,15}$`)

// Check returns all mistakes at once.
func (l Lockdown) Check() error {
	var errs []error
	if l.Bridge != "" && !linkName.MatchString(l.Bridge) {
		errs = append(errs, fmt.Errorf("%q is no name of a bridge", l.Bridge))
	}
	for _, u := range l.Uplinks {
		if !linkName.MatchString(u) {
			errs = append(errs, fmt.Errorf("%q is no name of a link", u))
		}
	}
	if len(l.Guests) == 0 || len(l.Storage) == 0 {
		errs = append(errs, errors.New("the guests' and the storage's networks must be named"))
	}
	for _, p := range append(append([]netip.Prefix{}, l.Guests...), l.Storage...) {
		if !p.IsValid() || p != p.Masked() {
			errs = append(errs, fmt.Errorf("%v is no network address", p))
		}
	}
	for _, g := range l.Guests {
		for _, s := range l.Storage {
			if g.Overlaps(s) {
				errs = append(errs, fmt.Errorf("guests %v and storage %v overlap: addresses cannot tell them apart\n"+
					"hint: put the guests into a VLAN of their own", g, s))
			}
		}
	}
	return errors.Join(errs...)
}

// NFT renders the rules for nft -f. They filter on the bridge itself, so they need neither br_netfilter nor its sysctl, and
// they see the port that a frame came in by. Loading the file again replaces what it loaded before.
func (l Lockdown) NFT() (string, error) {
	if err := l.Check(); err != nil {
		return "", fmt.Errorf("cannot lock the storage network down: %w", err)
	}
	var b strings.Builder
	from := ""
	if l.Bridge != "" {
		from = `meta ibrname "` + l.Bridge + `" `
	}
	if len(l.Uplinks) > 0 {
		from += `iifname != { "` + strings.Join(l.Uplinks, `", "`) + `" } `
	}
	b.WriteString("#!/usr/sbin/nft -f\n# guests cannot reach the storage network; written by goldsmith\n")
	for _, table := range []string{"bridge", "inet"} {
		fmt.Fprintf(&b, "table %s storage_lockdown\ndelete table %[1]s storage_lockdown\n", table)
	}
	b.WriteString("table bridge storage_lockdown {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n")
	l.drop(&b, from, l.Storage, "daddr")
	b.WriteString("\t}\n\tchain input {\n\t\ttype filter hook input priority filter; policy accept;\n")
	l.drop(&b, from, l.Storage, "daddr")
	b.WriteString("\t\t" + from + "ip saddr 0.0.0.0 udp dport 67 accept\n")
	b.WriteString("\t\t" + from + "ip6 saddr { ::, fe80::/10 } accept\n")
	for _, family := range []string{"ip", "ip6"} {
		fmt.Fprintf(&b, "\t\t%s%s\n", from, notIn(family, of(family, l.Guests)))
	}
	b.WriteString("\t}\n}\ntable inet storage_lockdown {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n")
	for _, family := range []string{"ip", "ip6"} {
		if g := of(family, l.Guests); g != "" {
			l.drop(&b, fmt.Sprintf("%s saddr { %s } ", family, g), l.Storage, "daddr", family)
		}
	}
	b.WriteString("\t}\n}\n")
	return b.String(), nil
}

// drop writes one rule per family that has networks.
func (l Lockdown) drop(b *strings.Builder, match string, nets []netip.Prefix, field string, families ...string) {
	if families == nil {
		families = []string{"ip", "ip6"}
	}
	for _, f := range families {
		if list := of(f, nets); list != "" {
			fmt.Fprintf(b, "\t\t%s%s %s { %s } drop\n", match, f, field, list)
		}
	}
}

// notIn drops what does not come from the networks; all of a family that has none. It asks for the protocol and not for "ether type",
// which is that of a VLAN where a guest tags its frames with VLAN 0, and receivers take that tag for none.
func notIn(family, list string) string {
	if list == "" {
		return "meta protocol " + family + " drop"
	}
	return fmt.Sprintf("%s saddr != { %s } drop", family, list)
}

// of joins the networks of one family.
func of(family string, nets []netip.Prefix) string {
	var list []string
	for _, p := range nets {
		if p.Addr().Is4() == (family == "ip") {
			list = append(list, p.String())
		}
	}
	return strings.Join(list, ", ")
}

// lockdownChain is the chain of the iptables form.
const lockdownChain = "STORAGE-LOCKDOWN"

// IPTables renders the same as a shell script for hosts that use iptables. IPv4 only, as the manual of the plugin has it; it
// needs br_netfilter, which OpenNebula's security groups load as well, and which has to be told to show frames that a guest tags
// with VLAN 0. Running it again changes nothing.
func (l Lockdown) IPTables() (string, error) {
	err := l.Check()
	if strings.Contains(of("ip6", l.Guests)+of("ip6", l.Storage), ":") {
		err = errors.Join(err, errors.New("iptables filters IPv4 only\nhint: use the nft form"))
	}
	if err != nil {
		return "", fmt.Errorf("cannot lock the storage network down: %w", err)
	}
	var b strings.Builder
	in, fwd := lockdownChain+"-IN", lockdownChain+"-FWD"
	fmt.Fprintf(&b, "#!/bin/sh\n# guests cannot reach the storage network; written by goldsmith\nset -eu\nmodprobe -q br_netfilter || true\n"+
		"sysctl -q net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-filter-vlan-tagged=1\niptables-restore --noflush <<'RULES'\n*filter\n:%s - [0:0]\n:%s - [0:0]\n", in, fwd)
	for _, u := range l.Uplinks {
		fmt.Fprintf(&b, "-A %s -m physdev --physdev-in %s -j RETURN\n-A %s -m physdev --physdev-in %s -j RETURN\n", in, u, fwd, u)
	}
	for _, s := range l.Storage {
		fmt.Fprintf(&b, "-A %s -d %s -j DROP\n-A %s -d %s -j DROP\n", in, s, fwd, s)
	}
	fmt.Fprintf(&b, "-A %s -s 0.0.0.0/32 -p udp --dport 67 -j RETURN\n", in)
	for _, g := range l.Guests {
		fmt.Fprintf(&b, "-A %s -s %s -j RETURN\n", in, g)
	}
	fmt.Fprintf(&b, "-A %s -j DROP\nCOMMIT\nRULES\n", in)
	from := "-i " + l.Bridge
	if l.Bridge == "" {
		from = "-m physdev --physdev-is-in"
	}
	for _, jump := range []string{"INPUT " + from + " -j " + in, "FORWARD " + from + " -j " + fwd} {
		chain, rule, _ := strings.Cut(jump, " ")
		fmt.Fprintf(&b, "iptables -C %s 2>/dev/null || iptables -I %s 1 %s\n", jump, chain, rule)
	}
	return b.String(), nil
}

// LockdownEdits writes the nft form and the unit that loads it before any guest can start. The unit is to be enabled by the
// recipe.
func LockdownEdits(l Lockdown) ([]Edit, error) {
	rules, err := l.NFT()
	if err != nil {
		return nil, err
	}
	return []Edit{
		{Name: "storage lock-down: rules", Path: "/etc/goldsmith/storage-lockdown.nft", Create: 0o644, Change: whole(rules)},
		{Name: "storage lock-down: unit", Path: "/etc/systemd/system/storage-lockdown.service", Create: 0o644, Change: whole(lockdownUnit)},
	}, nil
}

const lockdownUnit = `[Unit]
Description=Keep guests away from the storage network
DefaultDependencies=no
After=local-fs.target
Before=network-pre.target libvirtd.service virtqemud.service opennebula.service
Wants=network-pre.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/goldsmith/storage-lockdown.nft
ExecReload=/usr/sbin/nft -f /etc/goldsmith/storage-lockdown.nft
ExecStop=/usr/sbin/nft delete table bridge storage_lockdown
ExecStop=/usr/sbin/nft delete table inet storage_lockdown

[Install]
WantedBy=sysinit.target
`

// whole is the Change of a file that is ours from the first byte to the last.
func whole(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

// A Wire is where a network's frames go: a bridge or physical link, and a VLAN tag on it, 0 for none.
type Wire struct {
	Name string // for the message
	Link string
	VLAN int
}

// SharedWire names the guests' networks that share a link and VLAN with the storage network. On such a wire a guest can speak
// to the storage unless a Lockdown stands between.
func SharedWire(storage Wire, guests []Wire) []string {
	var out []string
	for _, g := range guests {
		if g.Link == storage.Link && g.VLAN == storage.VLAN {
			out = append(out, fmt.Sprintf("network %s is on the storage's wire (%s, VLAN %d)", g.Name, g.Link, g.VLAN))
		}
	}
	return out
}
