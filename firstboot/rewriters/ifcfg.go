package rewriters

import (
	"context"
	"errors"
	"path"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/ifcfg"
)

const scriptDir = "/etc/sysconfig/network-scripts/"

// networkScripts follows the interface files of CentOS 7 and 8. packstack's puppet writes the MAC of the golden NIC into
// OVS_EXTRA of ifcfg-br-ex; with it, every clone gets the same lease.
func networkScripts() Rewriter {
	return Rewriter{
		Name: "ifcfg", Short: "network scripts: MACs, names of NICs, br-ex", Phase: Local, Base: true,
		Owns: []Place{
			{Where: scriptDir + "ifcfg-*", Key: "HWADDR, MACADDR", Why: "a NIC's MAC, or one that a bridge copies"},
			{Where: scriptDir + "ifcfg-*", Key: "OVS_EXTRA ... other-config:hwaddr", Why: "MAC of the bridge that owns the NIC"},
			{Where: scriptDir + "ifcfg-*", Key: "DEVICE, NAME, PHYSDEV, OVSDHCPINTERFACES", Why: "names of NICs"},
			{Where: scriptDir + "ifcfg-*", Key: "DHCP_CLIENT_ID, DHCP_HOSTNAME", Why: "what the DHCP server knows the machine by"},
			{Where: scriptDir + "{ifcfg,route,route6,rule,rule6}-NIC", Why: "the files' own names"},
		},
		Leaves: []Place{
			{Where: scriptDir + "ifcfg-*", Key: "UUID", Why: "names the profile on this machine; nothing on the wire comes from it"},
			{Where: scriptDir + "ifcfg-*", Key: "BRIDGE, OVS_BRIDGE, MASTER", Why: "clones keep the names of bridges and bonds"},
		},
		Plan: planNetworkScripts,
	}
}

func planNetworkScripts(_ context.Context, s *Scene) error {
	files, err := s.configs(scriptDir+"ifcfg-*", scriptDir+"route-*", scriptDir+"route6-*", scriptDir+"rule-*", scriptDir+"rule6-*")
	errs := []error{err}
	for _, f := range files {
		kind, link, _ := strings.Cut(path.Base(f), "-")
		name, err := Link(s, link)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		renamed := scriptDir + kind + "-" + name
		if kind != "ifcfg" {
			errs = append(errs, s.scriptRoutes(f, renamed, link, name))
			continue
		}
		list, err := s.edits(ifcfg.Codec, f, ifcfgRule(f))
		if err == nil {
			err = s.settle(ifcfg.Codec, f, renamed, list)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// scriptRoutes renames a file of routes, which are lines of arguments for ip(8), and the NIC in it.
func (s *Scene) scriptRoutes(file, renamed, link, name string) error {
	if file == renamed {
		return nil
	}
	data, err := s.Host.ReadFile(file)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(data), "\n")
	for i, l := range lines {
		words := strings.Split(l, " ")
		for w := 1; w < len(words); w++ {
			if words[w-1] == "dev" && strings.TrimRight(words[w], "\n") == link {
				words[w] = strings.Replace(words[w], link, name, 1)
			}
		}
		lines[i] = strings.Join(words, " ")
	}
	return s.move(file, renamed, []byte(strings.Join(lines, "")))
}

// ifcfgRule knows the keys of one interface file.
func ifcfgRule(file string) keyRule {
	return func(s *Scene, key, was string) (plan.Value, string, error) {
		switch {
		case key == "HWADDR" || key == "MACADDR" || strings.HasPrefix(key, "OVS_EXTRA "):
			return ruled(s, s.boundMAC(file, key), was, "MAC of the golden NIC")
		case key == "DEVICE" || key == "NAME" || key == "PHYSDEV" || key == "OVSDHCPINTERFACES":
			return ruled(s, linkList, was, "the NIC has another name on this machine")
		case key == "DHCP_CLIENT_ID":
			return clientID(was)
		case key == "DHCP_HOSTNAME" || key == "DHCP_FQDN":
			return ruled(s, Name, was, "host name that the DHCP server learns")
		case strings.HasPrefix(key, "IPADDR") || strings.HasPrefix(key, "IPV6ADDR"):
			s.static(file, key, was)
		}
		return plan.Text(was), "", nil
	}
}

// boundMAC is the rule for a MAC in an interface file. HWADDR binds the file to the NIC that DEVICE names: ifup refuses the
// NIC when it is another, so it follows even where nobody knows whose MAC stands there.
func (s *Scene) boundMAC(file, key string) Rule {
	return func(s *Scene, was string) (string, error) {
		device, _, err := s.Get(ifcfg.Codec, file, "DEVICE")
		if err != nil || key != "HWADDR" {
			if err != nil {
				return was, err
			}
			return LinkMAC(s, was)
		}
		name, err := Link(s, device)
		if err != nil {
			return was, err
		}
		if s.hasNIC(name) && !SameMAC(s.To.MAC(name), was) {
			return s.To.MAC(name), nil
		}
		return LinkMAC(s, was)
	}
}

// clientID lets the DHCP client derive its id from the MAC. A literal one is the same on every clone, and the server gives
// all of them one address (measured); the keywords are derived on each machine.
func clientID(was string) (plan.Value, string, error) {
	switch was {
	case "mac", "perm-mac", "duid", "ipv6-duid", "stable", "none", "duid-only":
		return plan.Text(was), "", nil
	}
	return plan.Text("mac"), "a literal client id makes all clones one machine to the DHCP server", nil
}
