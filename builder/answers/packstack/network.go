package packstack

import (
	"net/netip"
	"slices"
	"strings"
)

// network checks the answers of neutron against each other. Packstack does not: it silently replaces what does not fit the
// agent, and leaves the rest to fail when the agents start.
func (c *checker) network() {
	if c.value("CONFIG_NEUTRON_INSTALL") != "y" || c.suspect["CONFIG_NEUTRON_L2_AGENT"] {
		return
	}
	switch c.value("CONFIG_NEUTRON_L2_AGENT") {
	case "ovn":
		c.ovn()
	case "openvswitch":
		c.openvswitch()
	}
}

// wants notes an error at key, unless the file leaves the key to its default.
func (c *checker) wants(key, code, format string, args ...any) {
	p, ok := c.m.Parameter(key)
	if !ok || c.suspect[key] {
		return
	}
	if a := c.answer(p); a.given {
		c.Errorf(a.setting.Line, code, a.setting.Name, a.setting.Name+": "+format, args...)
	}
}

func (c *checker) list(key string) []string {
	var out []string
	for item := range strings.SplitSeq(c.value(key), ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func (c *checker) ovn() {
	if !slices.Contains(c.list("CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS"), "ovn") {
		c.wants("CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS", "replaced", "with CONFIG_NEUTRON_L2_AGENT=ovn packstack replaces the drivers by ovn")
	}
	if c.value("CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES") != "geneve" {
		c.wants("CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES", "replaced", "with CONFIG_NEUTRON_L2_AGENT=ovn packstack replaces the types by geneve")
	}
	if c.value("CONFIG_NEUTRON_VPNAAS") == "y" {
		c.wants("CONFIG_NEUTRON_VPNAAS", "replaced", "with CONFIG_NEUTRON_L2_AGENT=ovn packstack installs no VPNaaS")
	}
	c.bridges("OVN")
}

func (c *checker) openvswitch() {
	if !slices.Contains(c.list("CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS"), "openvswitch") {
		c.wants("CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS", "replaced", "with CONFIG_NEUTRON_L2_AGENT=openvswitch packstack replaces the drivers by openvswitch")
	}
	types := c.list("CONFIG_NEUTRON_ML2_TYPE_DRIVERS")
	for _, t := range c.list("CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES") {
		if !slices.Contains(types, t) {
			c.wants("CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES", "mismatch", "%s is not among CONFIG_NEUTRON_ML2_TYPE_DRIVERS, and neutron does not start", t)
		}
	}
	if slices.Contains(c.list("CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES"), "geneve") {
		line := c.set["CONFIG_NEUTRON_L2_AGENT"].Line
		c.Warnf(line, "no-tunnels", "CONFIG_NEUTRON_L2_AGENT", "packstack makes tunnels for openvswitch only of types gre and vxlan, and the tenant networks are geneve").
			Hintf("CONFIG_NEUTRON_ML2_TYPE_DRIVERS=vxlan,flat and CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES=vxlan")
	}
	c.bridges("OVS")
}

// bridges: physical network to bridge, bridge to interface, and which of the networks is the external one.
func (c *checker) bridges(agent string) {
	mappings, ifaces := "CONFIG_NEUTRON_"+agent+"_BRIDGE_MAPPINGS", "CONFIG_NEUTRON_"+agent+"_BRIDGE_IFACES"
	nets, bridges := c.pairs(mappings, "physnet:bridge")
	used, nics := c.pairs(ifaces, "bridge:interface")
	for i, bridge := range used {
		if !slices.Contains(bridges, bridge) {
			c.wants(ifaces, "mismatch", "bridge %s is not in %s", bridge, mappings)
		}
		if !interfaceName(nics[i]) && c.value("CONFIG_USE_SUBNETS") != "y" {
			c.wants(ifaces, "bad-interface", "%q is no name of a network interface (at most 15 characters, no blank, slash or colon)", nics[i])
		}
	}
	external := "CONFIG_NEUTRON_" + agent + "_EXTERNAL_PHYSNET"
	if net := c.value(external); net != "" && !slices.Contains(nets, net) {
		c.wants(external, "mismatch", "there is no network %s in %s", net, mappings)
	}
}

// pairs reads a list of left:right and reports what is none, or stands twice.
func (c *checker) pairs(key, form string) (left, right []string) {
	for _, item := range c.list(key) {
		l, r, ok := strings.Cut(item, ":")
		l, r = strings.TrimSpace(l), strings.TrimSpace(r)
		switch {
		case !ok || l == "" || r == "":
			c.wants(key, "bad-pair", "%q is not %s", item, form)
			continue
		case slices.Contains(left, l):
			c.wants(key, "bad-pair", "%s stands twice", l)
		case slices.Contains(right, r):
			c.wants(key, "bad-pair", "%s stands twice", r)
		}
		left, right = append(left, l), append(right, r)
	}
	return left, right
}

// interfaceName follows the kernel's dev_valid_name.
func interfaceName(name string) bool {
	return name != "" && len(name) <= 15 && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t")
}

// image reports what a golden image should not have: demo networks, addresses of the machine it was baked on, and answers
// that packstack overrules.
func (c *checker) image() {
	if c.value("CONFIG_PROVISION_DEMO") == "y" {
		line := c.set["CONFIG_PROVISION_DEMO"].Line
		c.Warnf(line, "demo", "CONFIG_PROVISION_DEMO", "demo networks, a router on the external network and an image are made: every clone brings them along (CONFIG_PROVISION_DEMO=y is the default)").
			Hintf("CONFIG_PROVISION_DEMO=n")
	}
	if c.value("CONFIG_GLANCE_BACKEND") == "swift" && c.value("CONFIG_SWIFT_INSTALL") != "y" {
		c.wants("CONFIG_GLANCE_BACKEND", "replaced", "without CONFIG_SWIFT_INSTALL=y packstack replaces swift by file")
	}
	if c.value("CONFIG_SAHARA_INSTALL") == "y" && c.value("CONFIG_HEAT_INSTALL") == "n" {
		c.wants("CONFIG_HEAT_INSTALL", "replaced", "with CONFIG_SAHARA_INSTALL=y packstack installs Heat too")
	}
	for _, p := range c.m.Parameters() {
		if p.Kind == HostIP && !c.suspect[p.Key] && p.Group.when.holds(c.value) {
			c.baked(p)
		}
	}
}

// baked: an address in the answers ends up in dozens of files and tables, where every clone has it too.
func (c *checker) baked(p *Parameter) {
	a := c.answer(p)
	for _, h := range strings.Split(a.value, ",") {
		addr, err := netip.ParseAddr(strings.TrimSpace(h))
		if a.given && err == nil && !addr.IsLoopback() {
			c.Warnf(a.setting.Line, "baked-address", a.setting.Name, "%s: %s goes into files and databases of the image, and every clone has it there", a.setting.Name, addr).
				Hintf("use 127.0.0.1 where all services are on one machine")
		}
	}
}
