package rewriters

import (
	"context"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/authority"
	"goldsmith/firstboot/text/ini"
)

// novaFiles are read by nova's services, in this order. RDO reads the directory by itself, Debian when it is told to.
var novaFiles = []string{"/etc/nova/nova.conf", "/etc/nova/nova-compute.conf", "/etc/nova/nova.conf.d/*.conf"}

// nova owns where consoles are found, what the cells' rows say, and, when the machine is renamed, every row that is named
// after it. nova knows a compute node by two names, its own host and libvirt's (the machine's), and deletes a node with all
// its allocations if only one of them changes: so all of them change together, before a service starts, or none.
func nova() Rewriter {
	return Rewriter{
		Name: "nova", Short: "consoles, addresses and URLs of nova; its cells, services and compute nodes", Phase: Stack,
		Units: []string{"nova-api.service", "nova-api-metadata.service", "nova-scheduler.service", "nova-conductor.service", "nova-compute.service",
			"nova-novncproxy.service", "nova-spicehtml5proxy.service", "nova-serialproxy.service", "openstack-nova-api.service",
			"openstack-nova-scheduler.service", "openstack-nova-conductor.service", "openstack-nova-compute.service", "openstack-nova-novncproxy.service"},
		Settings: novaSettings(),
		Sweeps:   sweeps(ini.Codec, novaFiles...),
		Owns: []Place{
			{Where: "nova_api.cell_mappings", Key: "transport_url, database_connection", Why: "whole URLs, with passwords; templates stay"},
			{Where: "nova_api.host_mappings, aggregate_hosts", Key: "host", Why: "nova's name of the machine"},
			{Where: "nova.services, aggregate_hosts, instance_faults, instance_actions_events, task_log", Key: "host", Why: "nova's name of the machine"},
			{Where: "nova.compute_nodes", Key: "host, hypervisor_hostname", Why: "nova's and libvirt's name of the machine"},
			{Where: "nova.instances", Key: "host, node, launched_on", Why: "the machine that a VM is on"},
			{Where: "nova.migrations", Key: "source_compute, source_node, dest_compute, dest_node, dest_host", Why: "machines that a VM was on"},
			{Where: "nova.compute_nodes", Key: "host_ip", Why: "my_ip of the golden machine"},
			{Where: "nova.block_device_mapping", Key: "connection_info", Why: "where an attached volume is found"},
			{Where: "nova.console_auth_tokens", Why: "consoles of the golden machine: the rows go"},
			{Where: "nova.virtual_interfaces, instance_info_caches", Key: "address, network_info", Why: "follow the ports that get another MAC; see neutron"},
		},
		Leaves: []Place{
			{Where: "/var/lib/nova/compute_id", Why: "nova refuses to start without the id that its compute node has in the database"},
			{Where: "/etc/nova/migration/identity", Why: "one key for all nodes of a cluster: live migration needs it"},
			{Where: "/etc/nova/nova.conf", Key: "[libvirt] live_migration_uri", Why: "has %s where the other node's name goes"},
			{Where: "nova.cells, networks, fixed_ips, floating_ips, console_pools, provider_fw_rules, security_group_rules, security_group_default_rules, agent_builds, bw_usage_cache",
				Why: "tables of nova-network and of cells before v2, which no service reads"},
			{Where: "nova.pci_devices", Key: "address", Why: "an address on the machine's own bus"},
			{Where: "nova.instances", Key: "hostname, uuid", Why: "belong to the VM, not to the machine"},
		},
		Plan: planNova,
	}
}

// sweeps makes sweeps of one format.
func sweeps(codec text.Codec, files ...string) []Sweep {
	var out []Sweep
	for _, f := range files {
		out = append(out, Sweep{File: f, Codec: codec})
	}
	return out
}

func novaSettings() []Setting {
	var out []Setting
	for _, f := range novaFiles {
		for _, k := range []struct {
			key  string
			rule Rule
		}{
			{"[vnc] server_listen", PublicAddress}, {"[vnc] server_proxyclient_address", consoleHost}, {"[vnc] novncproxy_base_url", consoleProxy},
			{"[spice] server_listen", PublicAddress}, {"[spice] server_proxyclient_address", consoleHost}, {"[spice] html5proxy_base_url", consoleProxy},
			{"[serial_console] proxyclient_address", consoleHost}, {"[serial_console] base_url", consoleProxy},
		} {
			out = append(out, Setting{File: f, Codec: ini.Codec, Key: k.key, Rule: k.rule, Why: "where clients and proxies find a VM's console"})
		}
	}
	return out
}

// consoleHost is where the proxy calls a compute node: an address follows server_listen, a name stays a name.
func consoleHost(s *Scene, was string) (string, error) {
	if want := s.address(was, true); want != was {
		return want, nil
	}
	return s.name(was), nil
}

// consoleProxy is the URL of a proxy. A compute's is on its controller, which is the node that it finds the broker on.
func consoleProxy(s *Scene, was string) (string, error) {
	url, _, err := s.Get(ini.Codec, novaFiles[0], "[DEFAULT] transport_url")
	hosts := authority.Hosts(url)
	if err != nil || len(hosts) != 1 {
		return s.url(was, true), err
	}
	controller, ok := s.To.Peers[hosts[0]]
	if !ok {
		return s.url(was, true), nil
	}
	was, _ = authority.Rewrite(was, func(string) bool { return true }, controller.String())
	return was, nil
}

func planNova(ctx context.Context, s *Scene) error {
	if local, err := s.keepsDatabase("/etc/nova/nova.conf", "[api_database] connection"); err != nil || !local {
		return err // a compute node
	}
	id := []string{"id"}
	const why = "names the golden machine"
	if err := s.followRows(ctx,
		rowSet{schema: "nova_api", table: "cell_mappings", key: id, columns: cellColumns, rule: cellURL, why: "how nova reaches a cell"},
		rowSet{schema: "nova", table: "compute_nodes", key: id, columns: []string{"host_ip"}, rule: Address, why: "my_ip"},
		rowSet{schema: "nova", table: "block_device_mapping", key: id, columns: []string{"connection_info"}, rule: JSONText, why: why},
	); err != nil {
		return err
	}
	if err := s.removeRows(ctx, rowSet{schema: "nova", table: "console_auth_tokens", key: id,
		columns: []string{"host", "access_url_base"}, rule: Any, optional: true, why: "a console of the golden machine"}); err != nil {
		return err
	}
	if !s.nameMoved() {
		return nil
	}
	host := []string{"host"}
	return s.followRows(ctx,
		rowSet{schema: "nova_api", table: "host_mappings", key: id, columns: host, rule: Name, why: why},
		rowSet{schema: "nova_api", table: "aggregate_hosts", key: id, columns: host, rule: Name, why: why, optional: true},
		rowSet{schema: "nova", table: "services", key: id, columns: host, rule: Name, why: why},
		rowSet{schema: "nova", table: "compute_nodes", key: id, columns: []string{"host", "hypervisor_hostname"}, rule: Name, why: why},
		rowSet{schema: "nova", table: "instances", key: id, columns: []string{"host", "node", "launched_on"}, rule: Name, why: why},
		rowSet{schema: "nova", table: "migrations", key: id, columns: []string{"source_compute", "source_node", "dest_compute", "dest_node", "dest_host"}, rule: Host, why: why},
		rowSet{schema: "nova", table: "aggregate_hosts", key: id, columns: host, rule: Name, why: why, optional: true},
		rowSet{schema: "nova", table: "task_log", key: id, columns: host, rule: Name, why: why, optional: true},
		rowSet{schema: "nova", table: "instance_faults", key: id, columns: host, rule: Name, why: why, optional: true},
		rowSet{schema: "nova", table: "instance_actions_events", key: id, columns: host, rule: Name, why: why, optional: true},
	)
}

var cellColumns = []string{"transport_url", "database_connection"}

// cellCredentials finds the passwords in the cells' URLs.
func (s *Scene) cellCredentials(ctx context.Context, add func(credential)) error {
	if local, err := s.keepsDatabase("/etc/nova/nova.conf", "[api_database] connection"); err != nil || !local {
		return err
	}
	rows, err := s.Host.Rows(ctx, "nova_api", "cell_mappings", append([]string{"id"}, cellColumns...)...)
	for _, r := range rows {
		for _, column := range cellColumns {
			if c, ok := credentialAt(column, r[column], nil); ok {
				c.path, c.key = "nova_api.cell_mappings", r["id"]+" "+column
				add(c)
			}
		}
	}
	return err
}

// cellURL follows the host and the password of a cell's URL. A template ({scheme}://{username}...) has neither.
func cellURL(s *Scene, was string) (string, error) {
	if user, password, ok := authority.Userinfo(was); ok {
		if c, ok := urlCredential(was, user, password); ok {
			was = s.withPassword(c, was)
		}
	}
	return s.url(was, false), nil
}

// placementRows rename the resource provider, which has the compute node's name, and keep its id.
func placementRows(ctx context.Context, s *Scene) error {
	if !s.nameMoved() {
		return nil
	}
	return s.followRows(ctx, rowSet{schema: "placement", table: "resource_providers", key: []string{"id"}, columns: []string{"name"},
		rule: Name, why: "has the compute node's name"})
}

// proposeMAC changes a MAC in one column of one row.
func (s *Scene) proposeMAC(t *plan.Target, was, want string) {
	s.Propose(plan.Change{Kind: plan.Row, Was: plan.Text(was), Want: plan.Text(want), Row: t, Restart: s.by.Units,
		Why: "all clones would have this MAC on one VLAN"})
}
