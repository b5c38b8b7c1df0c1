package install

import "goldsmith/builder/recipe"

// novaService is nova but the part that runs servers.
func novaService() service {
	return service{
		name: "nova", kind: "compute", port: 8774, path: "/v2.1", databases: []string{"nova", "nova_api", "nova_cell0"},
		packages: []string{"nova-api", "nova-conductor", "nova-scheduler", "nova-consoleproxy"},
		needs:    []string{"glance", "placement", "neutron"},
		units: []string{"nova-api.service", "nova-api-metadata.service", "nova-conductor.service", "nova-scheduler.service",
			"nova-novncproxy.service"},
		sync: [][]string{
			{"nova-manage", "api_db", "sync"},
			{"nova-manage", "cell_v2", "map_cell0", "--database_connection", cellZero},
			{"nova-manage", "cell_v2", "create_cell", "--name", "cell1", "--transport-url", cellBroker, "--database_connection", cellDatabase},
			{"nova-manage", "db", "sync"},
		},
		settings: novaSettings, check: "/",
	}
}

// The cells' rows as templates, which nova fills in from its configuration: so they hold neither an address nor a password.
const (
	cellBroker   = "{scheme}://{username}:{password}@{hostname}:{port}/{path}"
	cellDatabase = "{scheme}://{username}:{password}@{hostname}/{path}?{query}"
	cellZero     = "{scheme}://{username}:{password}@{hostname}/nova_cell0?{query}"
)

// computeService runs servers, beside the rest of nova or on a node of its own.
func computeService() service {
	return service{name: "compute", packages: []string{"nova-compute"}, needs: []string{"neutron"},
		units: []string{"nova-compute.service"}, settings: computeSettings}
}

const novaConf = "nova/nova.conf"

func novaSettings(o *openStack) []setting {
	return joined(
		o.novaCommon(),
		o.tokens(novaConf, "nova"),
		// Names of the machine in rows and queues: the same in all clones, whatever they are called.
		settingsIn(novaConf, "DEFAULT", "host", recipe.ControllerName, "osapi_compute_workers", o.workers(), "metadata_workers", o.workers()),
		settingsIn(novaConf, "api_database", "connection", o.database("nova", "nova_api")),
		settingsIn(novaConf, "database", "connection", o.database("nova", "nova")),
		settingsIn(novaConf, "conductor", "workers", o.workers()),
		// A compute that has joined is found by nova itself, within this many seconds.
		settingsIn(novaConf, "scheduler", "workers", o.workers(), "discover_hosts_in_cells_interval", "30"),
		settingsIn(novaConf, "neutron", "service_metadata_proxy", "true", "metadata_proxy_shared_secret", o.password("metadata")),
		settingsIn(novaConf, "cinder", "os_region_name", o.Region, "catalog_info", "volumev3::internalURL"),
	)
}

// novaCommon is what nova's services and computes agree on. The console of a server is at the compute's own address, and its
// clients come in by the controller's.
func (o *openStack) novaCommon() []setting {
	address := o.id.Address.String()
	face := address
	if o.Role == recipe.RoleCompute {
		face = recipe.ControllerName
	}
	return joined(
		settingsIn(novaConf, "DEFAULT", "my_ip", address, "transport_url", o.broker()),
		settingsIn(novaConf, "service_user", "send_service_user_token", "true"),
		o.credentials(novaConf, "service_user", "nova"),
		o.credentials(novaConf, "placement", "placement"),
		o.credentials(novaConf, "neutron", "neutron"),
		settingsIn(novaConf, "glance", "region_name", o.Region),
		settingsIn(novaConf, "spice", "enabled", "false"),
		settingsIn(novaConf, "vnc", "enabled", "true", "server_listen", "0.0.0.0", "server_proxyclient_address", address,
			"novncproxy_base_url", "http://"+face+":6080/vnc_auto.html"),
	)
}

func computeSettings(o *openStack) []setting {
	const f = "nova/nova-compute.conf"
	var common []setting
	if o.Role == recipe.RoleCompute {
		common = o.novaCommon()
	}
	if o.Hypervisor == "" || o.Hypervisor == "fake" {
		return joined(common, settingsIn(f, "DEFAULT", "compute_driver", "fake.FakeDriver"))
	}
	return joined(common, settingsIn(f, "DEFAULT", "compute_driver", "libvirt.LibvirtDriver"), settingsIn(f, "libvirt", "virt_type", o.Hypervisor))
}
