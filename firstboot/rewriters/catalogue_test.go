package rewriters_test

import (
	"os"
	"strings"
	"testing"

	"goldsmith/firstboot/rewriters"
)

// identityMap is where machines of our stacks keep their identity, place by place, as found by reading the installers and by
// searching a machine that had run: each must be in the catalogue, as owned or as left alone with a reason.
var identityMap = []struct{ where, key string }{
	// the machine and its network
	{"/etc/hostname", ""}, {"/etc/hosts", ""}, {"/etc/machine-id", ""}, {"/var/lib/dbus/machine-id", ""}, {"/etc/ssh/ssh_host_", ""},
	{"/etc/ssh/ssh_known_hosts", ""}, {"/root/.ssh", ""}, {"/etc/nova/migration/identity", ""}, {"dhclient", ""}, {"NetworkManager", ""},
	{"ifcfg-", "OVS_EXTRA"}, {"ifcfg-", "MACADDR"}, {"ifcfg-", "HWADDR"}, {"Bridge", "other_config:hwaddr"}, {"udev", ""}, {"netplan", ""},
	{"interfaces", ""}, {"cloud", ""}, {"/etc/chrony", ""}, {"/etc/resolv.conf", ""}, {"random-seed", ""}, {"LVM", ""},
	// configuration
	{"/etc/nova/nova.conf", "any value"}, {"/etc/nova/nova.conf", "[vnc] server_listen"}, {"/etc/nova/nova.conf", "[vnc] server_proxyclient_address"},
	{"/etc/nova/nova.conf", "[vnc] novncproxy_base_url"}, {"/etc/nova/nova.conf", "[spice] html5proxy_base_url"}, {"/etc/nova/nova.conf", "live_migration_uri"},
	{"/etc/nova/nova-compute.conf", ""}, {"/etc/nova/nova.conf.d", ""}, {"/etc/neutron/neutron.conf", "any value"}, {"/etc/neutron/neutron.conf", "base_mac"},
	{"/etc/neutron/plugins/ml2", ""}, {"/etc/neutron/*_agent.ini", ""}, {"/etc/neutron/ovn.ini", ""}, {"/etc/cinder/cinder.conf", ""},
	{"/etc/glance/", ""}, {"/etc/keystone/keystone.conf", ""}, {"/etc/keystone/keystone.conf", "public_endpoint"}, {"/etc/placement/", ""},
	{"/etc/gnocchi/", ""}, {"/etc/aodh/", ""}, {"/etc/ceilometer/", ""}, {"/etc/heat/heat.conf", "heat_metadata_server_url"},
	{"/etc/heat/heat.conf", "heat_waitcondition_server_url"}, {"/etc/swift/proxy-server.conf", "bind_ip"}, {"ring.gz", ""}, {"/etc/redis.conf", "bind"},
	{"mysql", "bind-address"}, {"/etc/memcached.conf", "-l"}, {"/root/keystonerc_", ""}, {"openrc", ""}, {"config.dat", ""}, {"/etc/dbconfig-common", ""},
	{"packstack-answers", ""}, {"/var/tmp/packstack", ""}, {"iptables", ""},
	// Apache and Horizon
	{"/etc/httpd/conf.d", ""}, {"/etc/apache2/sites-available", ""}, {"local_settings", "ALLOWED_HOSTS"}, {"local_settings", "SECRET_KEY"}, {".secret_key_store", ""},
	// rows
	{"keystone.endpoint", "url"}, {"keystone.password", ""}, {"nova_api.cell_mappings", "transport_url"}, {"nova_api.cell_mappings", "database_connection"},
	{"nova_api.host_mappings", "host"}, {"services", "host"}, {"compute_nodes", "host"}, {"nova.compute_nodes", "host_ip"}, {"instances", "host"}, {"migrations", ""},
	{"virtual_interfaces", ""}, {"instance_info_caches", ""}, {"nova.block_device_mapping", "connection_info"}, {"nova.console_auth_tokens", ""},
	{"placement.resource_providers", "name"}, {"neutron.agents", "configurations"}, {"ml2_port_bindings", ""}, {"ml2_port_binding_levels", ""},
	{"ml2_distributed_port_bindings", ""}, {"segmenthostmappings", ""}, {"dvr_host_macs", ""}, {"ovn_hash_ring", ""}, {"ml2_vxlan_endpoints", ""},
	{"ml2_gre_endpoints", ""}, {"ml2_geneve_endpoints", ""}, {"neutron.ports", "mac_address"}, {"neutron.ports", "device_id"}, {"floatingips", ""},
	{"ipallocations", ""}, {"cinder.services", "host"}, {"volumes", "host"}, {"cinder.volumes", "provider_location"}, {"cinder.volume_attachment", "connector"},
	{"glance.image_locations", ""}, {"mysql.user", "password"}, {"mysql.global_priv", "host"},
	// what the stacks stand on
	{"rabbitmq-env.conf", "NODENAME"}, {".erlang.cookie", ""}, {"goldsmith-users.json", ""}, {"Open_vSwitch", "system-id"}, {"Open_vSwitch", "ovn-encap-ip"},
	{"Open_vSwitch", "ovn-remote"}, {"OVN_Southbound", ""}, {"libvirtd.conf", "host_uuid"}, {"/etc/libvirt/qemu", ""}, {"/etc/libvirt/secrets", ""},
	{"/var/lib/nova/compute_id", ""}, {"initiatorname.iscsi", ""}, {"target IQNs", ""}, {"/var/lib/cinder/cinder-volumes", ""}, {"/etc/exports", ""},
	// keys
	{"/etc/keystone/fernet-keys", ""}, {"/etc/keystone/credential-keys", ""}, {"auth_encryption_key", ""}, {"swift.conf", "swift_hash_path_suffix"},
	{"configuration of the stacks", "metadata_proxy_shared_secret"},
	// an oVirt engine: what ovirt-engine-rename changes, what it leaves, and a host
	{"/etc/ovirt-engine/engine.conf.d", "any value"}, {"engine-answers.conf", "fqdn"}, {"engine-renew.conf", ""}, {"20-setup-ovirt-post.conf", "fqdn"},
	{"/etc/pki/ovirt-engine", "authorityInfoAccess"}, {"ovirt-provider-ovn", ""}, {"grafana.ini", ""}, {"ovirt-engine-dwhd", ""}, {"vdc_options", ""},
	{"mac_pool_ranges", ""}, {"vm_interface", "mac_addr"}, {"storage_server_connections", ""}, {"engine.providers", "auth_url"}, {"sso_clients", "notification_callback"},
	{"vds_static", "host_name"}, {"engine.cluster", "spice_proxy"}, {"dwh_history_timekeeping", "dwhHostname"}, {"dwh_history_timekeeping", "dwhUuid"},
	{"pg_authid", "rolpassword"}, {"/etc/pki/ovirt-engine", "ca.pem"}, {"/etc/pki/ovirt-engine", "engine_id_rsa"}, {"", "ENGINE_SSO_CLIENT_SECRET"},
	{"storage_pool", "id"}, {"vds_static", "other hosts"}, {"/etc/vdsm/vdsm.id", ""}, {"/etc/pki/vdsm", ""}, {"hosted-engine.conf", "sdUUID"},
}

func TestEveryPlaceOfTheIdentityMapIsInTheCatalogue(t *testing.T) {
	var places []string
	for _, e := range rewriters.Catalogue() {
		for _, p := range append(e.Owns, e.Leaves...) {
			places = append(places, strings.ToLower(p.Where+"\n"+p.Key))
			if p.Why == "" {
				t.Errorf("%s %s of %s has no reason", p.Where, p.Key, e.Name)
			}
		}
	}
	for _, row := range identityMap {
		found := false
		for _, p := range places {
			found = found || strings.Contains(p, strings.ToLower(row.where)) && strings.Contains(p, strings.ToLower(row.key))
		}
		if !found {
			t.Errorf("%s %s is neither owned nor left alone", row.where, row.key)
		}
	}
}

// columns that only look as if they held an identity: numbers of rows and switches.
func isNumber(kind string) bool { return kind == "int" || kind == "tinyint" }

// TestEveryColumnIsSpokenFor: each column that may hold a host, an address, a MAC or a URL in the databases of Debian 12's
// OpenStack is owned by a rewriter or left with a reason. testdata/identity-columns-debian12.txt was taken from the schemas
// that keystone-, nova-, neutron-, placement- and cinder-manage made in MariaDB.
func TestEveryColumnIsSpokenFor(t *testing.T) {
	data, err := os.ReadFile("testdata/identity-columns-debian12.txt")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{} // schema.table.column, or schema.table for all of one
	for _, r := range rewriters.Catalogue() {
		for _, p := range append(r.Owns, r.Leaves...) {
			for _, table := range tablesNamed(p.Where) {
				if p.Key == "" {
					said[table] = true
				}
				for _, key := range strings.Split(p.Key, ", ") {
					said[table+"."+key] = true
				}
			}
		}
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		column, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		n++
		if table := column[:strings.LastIndex(column, ".")]; !isNumber(kind) && !said[table] && !said[column] {
			t.Errorf("%s: nobody owns it, and nobody says why not", column)
		}
	}
	if n != 131 {
		t.Errorf("%d columns, not 131", n)
	}
}

// tablesNamed reads "schema.table, table": a name without a schema has that of the one before it.
func tablesNamed(where string) []string {
	var out []string
	schema := ""
	for _, name := range strings.Split(where, ", ") {
		if s, _, ok := strings.Cut(name, "."); ok {
			schema = s
		} else {
			name = schema + "." + name
		}
		out = append(out, name)
	}
	return out
}
