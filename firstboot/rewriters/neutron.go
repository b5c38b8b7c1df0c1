package rewriters

import (
	"context"
	"crypto/sha1"
	"errors"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/ini"
)

// neutron owns the MACs that this clone's VMs get, tunnel addresses, agents, and, when the machine is renamed, what is bound
// to it.
func neutron() Rewriter {
	return Rewriter{
		Name: "neutron", Short: "base_mac, tunnel addresses, agents and bindings of neutron; ports in the image", Phase: Stack,
		Units: []string{"neutron-server.service", "neutron-api.service", "neutron-rpc-server.service", "neutron-openvswitch-agent.service",
			"neutron-dhcp-agent.service", "neutron-l3-agent.service", "neutron-metadata-agent.service", "neutron-ovn-metadata-agent.service",
			"neutron-metering-agent.service"},
		Sweeps: sweeps(ini.Codec, neutronConf, "/etc/neutron/*_agent.ini", "/etc/neutron/ovn.ini", "/etc/neutron/plugins/ml2/*.ini",
			"/etc/neutron/conf.d/*/*.conf"),
		Owns: []Place{
			{Where: neutronConf, Key: "[DEFAULT] base_mac", Why: "first octets of its VMs' MACs, from the clone's own MAC"},
			{Where: "neutron.agents", Key: "host, configurations", Why: "agents of the golden machine would stay, dead"},
			{Where: "neutron.ml2_vxlan_endpoints, ml2_gre_endpoints, ml2_geneve_endpoints", Why: "agents build tunnels to every address here; the rows go, agents write their own"},
			{Where: "neutron.ml2_port_bindings, ml2_port_binding_levels, ml2_distributed_port_bindings, segmenthostmappings, dvr_host_macs", Key: "host", Why: "bound to the machine's name"},
			{Where: "neutron.ovn_hash_ring", Why: "API processes of the golden machine: the rows go"},
			{Where: "neutron.ports", Key: "device_id", Why: "DHCP ports are named after the machine"},
			{Where: "neutron.ports", Key: "mac_address", Why: "ports of VMs on a network that is on the VLAN"},
		},
		Leaves: []Place{
			{Where: "neutron.ipallocations, floatingips, subnets, subnetpoolprefixes, ipallocationpools, ipamallocations, ipamallocationpools, portforwardings, ndp_proxies, local_ips, local_ip_associations", Why: "addresses on the VLAN that came with the image are refused, not changed: nobody knows which are free"},
			{Where: "neutron.allowedaddresspairs, address_associations, firewall_rules, members, ipsecpeercidrs", Why: "addresses that VMs use inside the cloud"},
			{Where: "neutron.dnsnameservers, bgp_peers", Why: "name other machines"},
			{Where: "neutron.dvr_host_macs", Key: "mac_address", Why: "stays inside its tunnels"},
			{Where: "neutron.ports", Key: "mac_address on tenant networks", Why: "never on the VLAN"},
			{Where: neutronConf, Key: "[DEFAULT] dvr_base_mac", Why: "differs from base_mac on every clone, and stays inside its tunnels"},
			{Where: "/etc/neutron/plugin.ini", Why: "a link to plugins/ml2/ml2_conf.ini"},
		},
		Plan: planNeutron,
	}
}

const neutronConf = "/etc/neutron/neutron.conf"

func planNeutron(ctx context.Context, s *Scene) error {
	if _, err := s.Host.Stat(neutronConf); err == nil && s.To.BaseMAC != "" {
		if err := s.Set(ini.Codec, neutronConf, "[DEFAULT] base_mac", s.To.BaseMAC, "VMs of two clones on one VLAN must not share MACs"); err != nil {
			return err
		}
	}
	if local, err := s.keepsDatabase(neutronConf, "[database] connection"); err != nil || !local {
		return err // a compute node
	}
	if err := s.neutronRows(ctx); err != nil {
		return err
	}
	return s.bakedPorts(ctx)
}

func (s *Scene) neutronRows(ctx context.Context) error {
	const why = "names the golden machine"
	table := func(name string, rule Rule, columns []string, key ...string) rowSet {
		return rowSet{schema: "neutron", table: name, key: key, columns: columns, rule: rule, why: why, optional: name != "agents"}
	}
	hosts := []string{"host"}
	for _, t := range []string{"ml2_vxlan_endpoints", "ml2_gre_endpoints", "ml2_geneve_endpoints"} {
		if err := s.removeRows(ctx, table(t, Host, []string{"ip_address", "host"}, "ip_address")); err != nil {
			return err
		}
	}
	if err := s.followRows(ctx, table("agents", JSONText, []string{"configurations"}, "id")); err != nil || !s.nameMoved() {
		return err
	}
	return errors.Join(
		s.removeRows(ctx, table("ovn_hash_ring", Name, []string{"hostname"}, "node_uuid")),
		s.followRows(ctx,
			table("agents", Name, hosts, "id"),
			table("ml2_port_bindings", Name, hosts, "port_id", "host"),
			table("ml2_port_binding_levels", Name, hosts, "port_id", "host", "level"),
			table("ml2_distributed_port_bindings", Name, hosts, "port_id", "host"),
			table("segmenthostmappings", Name, hosts, "segment_id", "host"),
			table("dvr_host_macs", Name, hosts, "host"),
			table("ports", dhcpDevice, []string{"device_id"}, "id")))
}

// dhcpDevice follows the name of a DHCP agent's port: "dhcp", a UUID of the machine's short name, and the network.
func dhcpDevice(s *Scene, was string) (string, error) {
	for _, id := range s.Old {
		if rest, ok := strings.CutPrefix(was, "dhcp"+nameUUID(id.Hostname)+"-"); ok && id.Hostname != "" {
			return "dhcp" + nameUUID(s.To.Hostname) + "-" + rest, nil
		}
	}
	return was, nil
}

// nameUUID is Python's uuid5(NAMESPACE_DNS, name), RFC 4122, 4.3.
func nameUUID(name string) string {
	space := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	sum := sha1.Sum(append(space[:], name...))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return uuid(sum[:16])
}

// bakedPorts looks at ports that came with the image on networks that are on the VLAN (flat and vlan segments name a physical
// network). A VM's port without an address, as the external network of the golden cloud has them, gets a MAC of the clone's
// own; what has an address there meets its twins on every other clone.
func (s *Scene) bakedPorts(ctx context.Context) error {
	if !s.Rekey {
		return nil // ports that were made on this clone
	}
	outside, err := s.outsideNetworks(ctx)
	if err != nil || len(outside) == 0 {
		return err
	}
	ports, err := s.Host.Rows(ctx, "neutron", "ports", "id", "network_id", "mac_address", "device_owner")
	if err != nil {
		return err
	}
	addresses, err := s.Host.Rows(ctx, "neutron", "ipallocations", "ip_address", "port_id")
	if err != nil {
		return err
	}
	fixed := map[string]string{}
	for _, a := range addresses {
		fixed[a["port_id"]] = a["ip_address"]
	}
	moved, taken := map[string]string{}, map[string]bool{}
	for _, p := range ports {
		if !outside[p["network_id"]] {
			continue
		}
		if ip := fixed[p["id"]]; ip != "" {
			s.bakedAddress("port "+p["id"]+" of neutron", p["device_owner"]+" has "+ip+" on the VLAN, and so has every other clone")
		}
		if want := ownMAC(s.To.BaseMAC, p["mac_address"]); want != p["mac_address"] {
			s.proposeMAC(&plan.Target{Schema: "neutron", Table: "ports", Match: map[string]string{"id": p["id"]}, Column: "mac_address"}, p["mac_address"], want)
			moved[p["mac_address"]] = want
			for _, id := range s.Old {
				moved[ownMAC(id.BaseMAC, p["mac_address"])] = want // nova was told by a life that was cut before neutron was
			}
			if taken[want] {
				s.Danger("port "+p["id"]+" of neutron", "two ports would get the MAC "+want+"; delete one in the golden image")
			}
			taken[want] = true
		}
	}
	return s.movedMACs(ctx, moved)
}

// bakedAddress refuses a twin on the VLAN, or reports it where the recipe allows it.
func (s *Scene) bakedAddress(what, why string) {
	if has(s.Policy.Optional, "row:neutron.ports") {
		s.Note(what, why)
		return
	}
	s.Danger(what, why+"; delete it in the golden image")
}

func (s *Scene) outsideNetworks(ctx context.Context) (map[string]bool, error) {
	rows, err := s.Host.Rows(ctx, "neutron", "networksegments", "network_id", "physical_network")
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, r := range rows {
		if r["physical_network"] != "" {
			out[r["network_id"]] = true
		}
	}
	return out, nil
}

// ownMAC puts a MAC under the clone's own first four octets (base_mac f6:P4:P5:P6:00:00).
func ownMAC(base, mac string) string {
	if len(base) != len(mac) || len(mac) != len("00:00:00:00:00:00") {
		return mac
	}
	const prefix = len("00:00:00:00:")
	return base[:prefix] + strings.ToLower(mac[prefix:])
}

// movedMACs lets nova know: its VIFs ("MAC/port") and its cache of them, from which it defines a VM at its next start.
func (s *Scene) movedMACs(ctx context.Context, moved map[string]string) error {
	if len(moved) == 0 {
		return nil
	}
	rule := func(_ *Scene, was string) (string, error) {
		for old, now := range moved {
			was = strings.ReplaceAll(was, old, now) // 17 characters of a MAC stand for nothing else
		}
		return was, nil
	}
	err := s.followRows(ctx,
		rowSet{schema: "nova", table: "virtual_interfaces", key: []string{"id"}, columns: []string{"address"}, rule: rule, why: "the port has another MAC"},
		rowSet{schema: "nova", table: "instance_info_caches", key: []string{"id"}, columns: []string{"network_info"}, rule: rule, why: "the port has another MAC"})
	if errors.Is(err, host.ErrNoTable) {
		return nil
	}
	return err
}
