package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"goldsmith/builder/recipe"
	"goldsmith/firstboot/text/hosts"
	"goldsmith/firstboot/text/ini"
	"goldsmith/firstboot/text/pysettings"
)

// writeConfiguration writes everything that services read, before any of them runs.
func (o *openStack) writeConfiguration(context.Context) error {
	var all []setting
	for _, s := range o.services() {
		if s.settings != nil {
			all = append(all, s.settings(o)...)
		}
	}
	errs := []error{o.writeSettings(all), o.oneWorker(), PutFiles(o.root, o.files())}
	if o.has("horizon") {
		errs = append(errs, o.horizon())
	}
	if o.Role != recipe.RoleCompute && o.has("nova") {
		errs = append(errs, o.ownName())
	}
	return errors.Join(errs...)
}

// ownName lets the name that nova and neutron know this machine by lead to it.
func (o *openStack) ownName() error {
	data, err := o.root.ReadFile("etc/hosts")
	if err != nil {
		return err
	}
	if data, err = hosts.Ensure(data, o.id.Address, recipe.ControllerName); err != nil {
		return err
	}
	return o.root.WriteFile("etc/hosts", data, 0o644)
}

// writeSettings sets options through the editor that keeps comments and order, file by file.
func (o *openStack) writeSettings(all []setting) error {
	var order []string
	files := map[string][]byte{}
	var errs []error
	for _, s := range all {
		name := "etc/" + s.file
		data, ok := files[name]
		if !ok {
			var err error
			if data, err = o.root.ReadFile(name); err != nil {
				errs = append(errs, fmt.Errorf("cannot read %s: %w", name, err))
			}
			order = append(order, name)
		}
		changed, err := ini.Codec.Set(data, s.key, s.value)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot set %s %s: %w", name, s.key, err))
			changed = data
		}
		files[name] = changed
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, name := range order {
		if err := o.root.WriteFile(name, files[name], 0o640); err != nil {
			return err
		}
	}
	return nil
}

// The two options of uwsgi that size an API, each on a line of its own in the files of Debian's packages.
var (
	uwsgiProcesses = regexp.MustCompile(`(?m)^processes = .*$`)
	uwsgiThreads   = regexp.MustCompile(`(?m)^threads = .*$`)
)

// oneWorker keeps the APIs small: the packages size them for a server that does nothing else. Each process has one thread:
// with more, services whose locks are eventlet's hang now and then at their first requests ("greenlet.error: cannot switch to a
// different thread", measured: one keystone of four).
func (o *openStack) oneWorker() error {
	found, err := fs.Glob(o.root, "etc/*/*-uwsgi.ini")
	if err != nil {
		return err
	}
	for _, name := range found {
		data, err := o.root.ReadFile(name)
		if err != nil {
			return err
		}
		data = uwsgiProcesses.ReplaceAll(data, fmt.Appendf(nil, "processes = %d", o.Workers))
		data = uwsgiThreads.ReplaceAll(data, []byte("threads = 1"))
		if err := o.root.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// files are those that we write whole.
func (o *openStack) files() []recipe.File {
	if o.Role == recipe.RoleCompute {
		return nil
	}
	list := []recipe.File{
		{Path: "/etc/mysql/mariadb.conf.d/99-goldsmith.cnf", Mode: 0o644, Owner: "root", Content: mariadbConf},
		{Path: "/etc/rabbitmq/rabbitmq-env.conf", Mode: 0o644, Owner: "root", Content: rabbitEnv + o.brokerFace()},
		{Path: "/root/openrc", Mode: 0o600, Owner: "root", Content: o.openrc()},
	}
	if o.has("nova") {
		list = append(list, recipe.File{Path: "/etc/default/nova-consoleproxy", Mode: 0o644, Owner: "root", Content: consoleProxy})
	}
	return list
}

// consoleProxy is what Debian's start scripts of nova's three proxies read.
const consoleProxy = "NOVA_CONSOLE_PROXY_TYPE=novnc\nNOVA_SERIAL_PROXY_START=false\n"

// mariadbConf: a cloud holds many connections that do nothing; and a test cloud may lose its last second in a power cut.
const mariadbConf = `[mysqld]
bind-address = 127.0.0.1
max_connections = 1000
innodb_flush_log_at_trx_commit = 2
`

// rabbitEnv: the broker's database is named after its node, so a node that is named after the host would lose all
// users with a new host name.
const rabbitEnv = `NODENAME=rabbit@localhost
export ERL_EPMD_ADDRESS=127.0.0.1
`

// brokerFace is where the broker listens: computes must reach it.
func (o *openStack) brokerFace() string {
	if o.Role == recipe.RoleController {
		return ""
	}
	return "NODE_IP_ADDRESS=127.0.0.1\n"
}

// openrc lets the administrator in. It asks over the loopback and so is right on every clone.
func (o *openStack) openrc() string {
	var b strings.Builder
	for _, v := range [][2]string{
		{"OS_AUTH_URL", "http://" + loopback + ":5000/v3"}, {"OS_IDENTITY_API_VERSION", "3"}, {"OS_REGION_NAME", o.Region},
		{"OS_USERNAME", "admin"}, {"OS_PASSWORD", o.password("keystone/admin")}, {"OS_PROJECT_NAME", "admin"},
		{"OS_USER_DOMAIN_NAME", "Default"}, {"OS_PROJECT_DOMAIN_NAME", "Default"},
	} {
		fmt.Fprintf(&b, "export %s=%s\n", v[0], v[1])
	}
	return b.String()
}

// Where Debian's Horizon is configured.
const (
	horizonSettings = "etc/openstack-dashboard/local_settings.py"
	horizonSite     = "etc/apache2/sites-available/openstack-dashboard.conf"
)

// horizon names the machine where clients see it.
func (o *openStack) horizon() error {
	data, err := o.root.ReadFile(horizonSettings)
	if err != nil {
		return err
	}
	address := o.id.Address.String()
	for _, s := range [][2]string{
		{"ALLOWED_HOSTS", fmt.Sprintf("['%s', '%s', 'localhost']", address, o.id.Hostname)},
		{"OPENSTACK_HOST", fmt.Sprintf("%q", address)},
		{"OPENSTACK_KEYSTONE_URL", `"http://%s:5000/v3" % OPENSTACK_HOST`}, // Debian's is below Apache: /identity
	} {
		if data, err = pysettings.Codec.Set(data, s[0], s[1]); err != nil {
			return fmt.Errorf("cannot set %s: %w", s[0], err)
		}
	}
	if err := o.root.WriteFile(horizonSettings, data, 0o644); err != nil {
		return err
	}
	return o.horizonSite()
}

// horizonSite names the virtual host, and lets Horizon run in its own daemon process, which the package's site makes but
// does not use: inside Apache's, every one of them would load Django.
func (o *openStack) horizonSite() error {
	data, err := o.root.ReadFile(horizonSite)
	if err != nil {
		return err
	}
	site, errs := string(data), []error(nil)
	edit := func(old, new string) {
		if strings.Count(site, old) != 1 {
			errs = append(errs, fmt.Errorf("cannot edit %s: no single line %q", horizonSite, old))
		}
		site = strings.Replace(site, old, new, 1)
	}
	edit("<VirtualHost *:80>\n", fmt.Sprintf("<VirtualHost *:80>\n    ServerName %s\n    ServerAlias %s %s\n", o.id.Address, o.id.FQDN(), o.id.Hostname))
	edit("    #WSGIProcessGroup openstack-dashboard\n", "    WSGIProcessGroup horizon\n    WSGIApplicationGroup %{GLOBAL}\n")
	if errs != nil {
		return errors.Join(errs...)
	}
	return o.root.WriteFile(horizonSite, []byte(site), 0o644)
}
