package packstack

import (
	"fmt"
	"slices"
	"strings"
)

// A Preset is a set of answers that belong together.
type Preset struct {
	Name    string
	Short   string
	NIC     string            // the interface that goes into the external bridge; "" when only checking
	answers map[string]string // "<nic>" stands for NIC
}

// PresetNames lists the presets.
func PresetNames() []string { return []string{"clone-aio"} }

// PresetFor returns a preset. The answers of clone-aio are those of a machine that can be cloned into a network with somebody
// else's DHCP server: every service on the loopback address, so that no clone has to change it; the external network is flat
// on br-ex, which takes the interface nic; Open vSwitch instead of OVN, so that no chassis identity is copied; and no demo
// networks, whose router would bring one address into the external network with every clone.
func PresetFor(name, nic string) (*Preset, error) {
	if !slices.Contains(PresetNames(), name) {
		return nil, fmt.Errorf("cannot use preset %q: known are %s", name, strings.Join(PresetNames(), ", "))
	}
	if nic != "" && !interfaceName(nic) {
		return nil, fmt.Errorf("cannot use %q as a network interface: at most 15 characters, no blank, slash or colon", nic)
	}
	return &Preset{Name: name, Short: "all services of one machine on 127.0.0.1, flat external network on br-ex", NIC: nic, answers: map[string]string{
		"CONFIG_CONTROLLER_HOST":                  "127.0.0.1",
		"CONFIG_COMPUTE_HOSTS":                    "127.0.0.1",
		"CONFIG_NETWORK_HOSTS":                    "127.0.0.1",
		"CONFIG_AMQP_HOST":                        "127.0.0.1",
		"CONFIG_MARIADB_HOST":                     "127.0.0.1",
		"CONFIG_REDIS_HOST":                       "127.0.0.1",
		"CONFIG_NEUTRON_ML2_TYPE_DRIVERS":         "vxlan,flat",
		"CONFIG_NEUTRON_ML2_TENANT_NETWORK_TYPES": "vxlan",
		"CONFIG_NEUTRON_ML2_MECHANISM_DRIVERS":    "openvswitch",
		"CONFIG_NEUTRON_L2_AGENT":                 "openvswitch",
		"CONFIG_NEUTRON_OVS_BRIDGE_MAPPINGS":      "extnet:br-ex",
		"CONFIG_NEUTRON_OVS_BRIDGE_IFACES":        "br-ex:<nic>",
		"CONFIG_NEUTRON_OVS_EXTERNAL_PHYSNET":     "extnet",
		"CONFIG_PROVISION_DEMO":                   "n",
	}}, nil
}

// Answers returns the preset's answers by key.
func (p *Preset) Answers() map[string]string {
	out := map[string]string{}
	for k, v := range p.answers {
		out[k] = strings.ReplaceAll(v, "<nic>", p.NIC)
	}
	return out
}

// takes reports whether value is what the preset wants of key; without a NIC any interface will do.
func (p *Preset) takes(key, value string) bool {
	want := p.answers[key]
	before, _, open := strings.Cut(want, "<nic>")
	if open && p.NIC == "" {
		return strings.HasPrefix(value, before) && len(value) > len(before)
	}
	return value == p.Answers()[key]
}

// wants is the preset's answer for a message.
func (p *Preset) wants(key string) string {
	if p.NIC == "" {
		return p.answers[key]
	}
	return p.Answers()[key]
}

// preset reports every answer that is not the preset's.
func (c *checker) preset(p *Preset) {
	for _, param := range c.m.Parameters() {
		if _, ok := p.answers[param.Key]; !ok || c.suspect[param.Key] {
			continue
		}
		a := c.answer(param)
		switch {
		case p.takes(param.Key, a.value):
		case a.given:
			c.Errorf(a.setting.Line, "preset", a.setting.Name, "%s is %q, and preset %s wants %q", a.setting.Name, a.value, p.Name, p.wants(param.Key))
		default:
			c.Errorf(0, "preset", param.Key, "%s is not set (packstack takes %q), and preset %s wants %q", param.Key, param.shown(), p.Name, p.wants(param.Key))
		}
	}
}

// shown is the default for a message.
func (p *Parameter) shown() string {
	if p.Kind == HostIP {
		return "this machine's address"
	}
	return p.Default
}
