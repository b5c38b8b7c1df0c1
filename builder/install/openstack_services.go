package install

import (
	"fmt"
	"strconv"

	"goldsmith/builder/recipe"
)

// A service is what this package knows of one service of OpenStack, as Debian 12 packages it (release Zed).
type service struct {
	name      string // also the name of its system user, of its account, and of its MariaDB user
	kind      string // in the catalogue; "" has no endpoints and no account
	port      int
	path      string // of the endpoints' URL
	databases []string
	packages  []string // that the recipe must name
	needs     []string // other services
	units     []string
	sync      [][]string // commands, run as the service's user, that make its tables
	settings  func(*openStack) []setting
	check     string // path that answers without a token, below the port; "" is not asked
}

// catalogue is what can be had in a role, keystone first.
func catalogue(role string) []service {
	if role == recipe.RoleCompute {
		return []service{computeService(), agentService()}
	}
	list := append(identityServices(), novaService())
	if role != recipe.RoleController {
		list = append(list, computeService())
	}
	return append(list, neutronService(), cinderService(), horizonService())
}

// identityServices are those that every other one needs.
func identityServices() []service {
	return []service{
		{
			name: "keystone", kind: "identity", port: 5000, path: "/v3", databases: []string{"keystone"},
			packages: []string{"keystone"}, units: []string{"keystone.service"},
			sync:     [][]string{{"keystone-manage", "db_sync"}},
			settings: keystoneSettings, check: "/v3",
		},
		{
			name: "glance", kind: "image", port: 9292, databases: []string{"glance"},
			packages: []string{"glance"}, units: []string{"glance-api.service"},
			sync:     [][]string{{"glance-manage", "db_sync"}},
			settings: glanceSettings, check: "/",
		},
		{
			name: "placement", kind: "placement", port: 8778, databases: []string{"placement"},
			packages: []string{"placement-api"}, units: []string{"placement-api.service"},
			sync:     [][]string{{"placement-manage", "db", "sync"}},
			settings: placementSettings, check: "/",
		},
	}
}

func horizonService() service {
	return service{
		name: "horizon", packages: []string{"openstack-dashboard-apache"}, units: []string{"apache2.service"},
		port: 80, check: "/auth/login/",
	}
}

// A setting is one option of a file in oslo.config's format. Files are below /etc.
type setting struct{ file, key, value string }

// settingsIn makes settings of one section from pairs of option and value.
func settingsIn(file, section string, pairs ...string) []setting {
	var out []setting
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, setting{file, fmt.Sprintf("[%s] %s", section, pairs[i]), pairs[i+1]})
	}
	return out
}

// join puts lists of settings together.
func joined(lists ...[]setting) []setting {
	var out []setting
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// workers is the number of processes of each kind, as an option.
func (o *openStack) workers() string { return strconv.Itoa(o.Workers) }

// database is the connection string of a service's database.
func (o *openStack) database(user, name string) string {
	return fmt.Sprintf("mysql+pymysql://%s:%s@%s/%s", user, o.password("mysql/"+user), loopback, name)
}

// broker is the URL of RabbitMQ. With a port in it, nova's cell templates can name that port.
func (o *openStack) broker() string {
	return fmt.Sprintf("rabbit://openstack:%s@%s:5672/", o.password("rabbit"), o.server())
}

// credentials are the options by which a service logs in to keystone as user.
func (o *openStack) credentials(file, section, user string) []setting {
	return settingsIn(file, section, "auth_type", "password", "auth_url", "http://"+o.server()+":5000/v3",
		"project_name", "service", "project_domain_name", "Default", "user_domain_name", "Default",
		"region_name", o.Region, "username", user, "password", o.password("keystone/"+user))
}

// tokens are the options by which a service has tokens of its clients checked.
func (o *openStack) tokens(file, user string) []setting {
	return joined(o.credentials(file, "keystone_authtoken", user),
		settingsIn(file, "keystone_authtoken", "www_authenticate_uri", "http://"+loopback+":5000", "memcached_servers", loopback+":11211"))
}

func keystoneSettings(o *openStack) []setting {
	const f = "keystone/keystone.conf"
	return joined(
		settingsIn(f, "database", "connection", o.database("keystone", "keystone")),
		settingsIn(f, "token", "provider", "fernet"),
		settingsIn(f, "cache", "enabled", "true", "backend", "dogpile.cache.memcached", "memcache_servers", loopback+":11211"))
}

func glanceSettings(o *openStack) []setting {
	const f = "glance/glance-api.conf"
	return joined(
		settingsIn(f, "database", "connection", o.database("glance", "glance")),
		o.tokens(f, "glance"),
		settingsIn(f, "paste_deploy", "flavor", "keystone"),
		settingsIn(f, "glance_store", "default_store", "file", "stores", "file,http"),
		settingsIn(f, "DEFAULT", "transport_url", o.broker()))
}

func placementSettings(o *openStack) []setting {
	const f = "placement/placement.conf"
	return joined(settingsIn(f, "placement_database", "connection", o.database("placement", "placement")), o.tokens(f, "placement"))
}
