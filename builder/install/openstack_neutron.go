package install

import "goldsmith/builder/recipe"

// neutronService is neutron with the agents of a network node.
func neutronService() service {
	return service{
		name: "neutron", kind: "network", port: 9696, databases: []string{"neutron"},
		packages: []string{"neutron-api", "neutron-rpc-server", "neutron-openvswitch-agent", "neutron-dhcp-agent", "neutron-l3-agent",
			"neutron-metadata-agent", "openvswitch-switch"},
		needs: []string{"nova"},
		units: []string{"neutron-api.service", "neutron-rpc-server.service", "neutron-openvswitch-agent.service",
			"neutron-dhcp-agent.service", "neutron-l3-agent.service", "neutron-metadata-agent.service"},
		sync: [][]string{{"neutron-db-manage", "--config-file", "/etc/neutron/neutron.conf", "--config-file", "/etc/neutron/plugins/ml2/ml2_conf.ini",
			"upgrade", "head"}},
		settings: neutronSettings, check: "/",
	}
}

// agentService is neutron on a compute: the agent that plugs servers in.
func agentService() service {
	return service{name: "neutron", packages: []string{"neutron-openvswitch-agent", "openvswitch-switch"},
		units: []string{"neutron-openvswitch-agent.service"}, settings: agentSettings}
}

const (
	neutronConf = "neutron/neutron.conf"
	ml2Conf     = "neutron/plugins/ml2/ml2_conf.ini"
	ovsConf     = "neutron/plugins/ml2/openvswitch_agent.ini"
)

func neutronSettings(o *openStack) []setting {
	return joined(
		agentSettings(o),
		o.tokens(neutronConf, "neutron"),
		settingsIn(neutronConf, "DEFAULT", "host", recipe.ControllerName, "api_workers", o.workers(), "rpc_workers", o.workers(),
			"service_plugins", "router"),
		settingsIn(neutronConf, "database", "connection", o.database("neutron", "neutron")),
		o.credentials(neutronConf, "nova", "nova"),
		settingsIn(ml2Conf, "ml2", "type_drivers", "flat,vxlan", "tenant_network_types", "vxlan", "mechanism_drivers", "openvswitch,l2population",
			"extension_drivers", "port_security"),
		settingsIn(ml2Conf, "ml2_type_flat", "flat_networks", "external"),
		settingsIn(ml2Conf, "ml2_type_vxlan", "vni_ranges", "1:1000"),
		settingsIn("neutron/dhcp_agent.ini", "DEFAULT", "interface_driver", "openvswitch", "enable_isolated_metadata", "true"),
		settingsIn("neutron/l3_agent.ini", "DEFAULT", "interface_driver", "openvswitch"),
		settingsIn("neutron/metadata_agent.ini", "DEFAULT", "nova_metadata_host", loopback, "metadata_workers", o.workers(),
			"metadata_proxy_shared_secret", o.password("metadata")),
	)
}

// agentSettings are those of the Open vSwitch agent. Its datapath is the one in user space: it asks no module of the kernel,
// which a container could not load, and needs only /dev/net/tun.
func agentSettings(o *openStack) []setting {
	return joined(
		settingsIn(neutronConf, "DEFAULT", "transport_url", o.broker()),
		settingsIn(ovsConf, "ovs", "local_ip", o.id.Address.String(), "datapath_type", "netdev", "integration_bridge", "br-int", "tunnel_bridge", "br-tun",
			"bridge_mappings", "external:br-ex"), // the agent ends itself where the bridge is not there
		settingsIn(ovsConf, "agent", "tunnel_types", "vxlan", "l2_population", "true"),
		settingsIn(ovsConf, "securitygroup", "firewall_driver", "openvswitch", "enable_security_group", "true"),
	)
}
