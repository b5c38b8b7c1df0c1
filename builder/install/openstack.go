package install

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// An openStack configures a cloud, or one node of it, from Debian's packages in the booted machine, of which no service runs yet.
//
// What can be hidden from a clone's address is hidden: databases, message broker, cache and the services among each other
// use the loopback, and nova, neutron and cinder know the machine by one name that all clones share. What clients see, which
// is the catalogue and Horizon, names the machine, and firstboot rewrites it. A compute node finds its controller by that same
// name, whose address each clone is told.
type openStack struct {
	recipe.OpenStack
	id   identity.Identity
	m    *machine.Booted
	root *tree.FS
	log  io.Writer
	wait func(string)

	passwords map[string]string
}

// loopback is where the services of one machine find each other.
const loopback = "127.0.0.1"

// server is where this node finds keystone, the broker and the rest.
func (o *openStack) server() string {
	if o.Role == recipe.RoleCompute {
		return recipe.ControllerName
	}
	return loopback
}

// A stage is a part of the configuration.
type stage struct {
	what string
	run  func(context.Context) error
}

// stages are files first, then databases, then the catalogue through keystone itself, and in the end every service is asked
// for an answer. On a compute node there are only files and the bridge: its services would wait for a controller.
func (o *openStack) stages() []stage {
	files := stage{"configuration", o.writeConfiguration}
	if o.Role == recipe.RoleCompute {
		return []stage{files, {"bridge", o.externalBridge}, {"services", o.enableServices}}
	}
	return []stage{
		files,
		{"databases and broker", o.startInfrastructure},
		{"schemas", o.syncSchemas},
		{"keystone", o.startKeystone},
		{"catalogue", o.fillCatalogue},
		{"services", o.startServices},
		{"answers", o.waitForServices},
		{"agents", o.waitForAgents},
	}
}

// configure does all stages.
func (o *openStack) configure(ctx context.Context) error {
	o.passwords = map[string]string{}
	for _, do := range o.stages() {
		o.wait(do.what)
		if err := do.run(ctx); err != nil {
			_ = o.explain(ctx) // an aid: the failure is what counts
			return fmt.Errorf("cannot set up %s: %w", do.what, err)
		}
	}
	return nil
}

// password returns the secret of that name, made at first use: 26 letters and digits, 130 bits.
func (o *openStack) password(name string) string {
	if _, ok := o.passwords[name]; !ok {
		o.passwords[name] = rand.Text()
	}
	return o.passwords[name]
}

// public is a URL as clients of the cloud see it.
func (o *openStack) public(port int, path string) string {
	return fmt.Sprintf("http://%s:%d%s", o.id.Address, port, path)
}

// services returns what is known of the wanted services, in the order of the catalogue.
func (o *openStack) services() []service {
	var out []service
	for _, s := range catalogue(o.Role) {
		if s.name == "keystone" || slices.Contains(o.Services, s.name) {
			out = append(out, s)
		}
	}
	return out
}

func (o *openStack) has(name string) bool {
	return slices.ContainsFunc(o.services(), func(s service) bool { return s.name == name })
}

// run runs a program inside as a user.
func (o *openStack) run(ctx context.Context, user string, argv ...string) error {
	return o.m.Run(ctx, machine.Command{Argv: argv, User: user, Log: o.log})
}

// systemctl runs systemctl inside.
func (o *openStack) systemctl(ctx context.Context, args ...string) error {
	return o.run(ctx, "", append([]string{"systemctl", "--quiet"}, args...)...)
}

// Lacks says what the openstack or opennebula step of a recipe needs and the recipe does not have. It is recipe.Library's Steps.
func Lacks(r *recipe.Recipe, s recipe.Step) []string {
	if s.OpenNebula != nil {
		return lacksOpenNebula(r, *s.OpenNebula)
	}
	if s.OpenStack == nil {
		return nil
	}
	var out []string
	have := r.AllPackages()
	lack := func(who string, packages []string) {
		for _, p := range packages {
			if !slices.Contains(have, p) {
				out = append(out, fmt.Sprintf("%s needs the package %s in packages or layers", who, p))
			}
		}
	}
	role := s.OpenStack.Role
	if role != recipe.RoleCompute {
		lack("an OpenStack", infrastructurePackages)
	}
	known := map[string]bool{}
	for _, v := range catalogue(role) {
		known[v.name] = true
		if v.name != "keystone" && !slices.Contains(s.OpenStack.Services, v.name) {
			continue
		}
		lack(v.name, v.packages)
		for _, n := range v.needs {
			if !slices.Contains(s.OpenStack.Services, n) {
				out = append(out, fmt.Sprintf("%s needs the service %s", v.name, n))
			}
		}
	}
	if h := s.OpenStack.Hypervisor; (h == "qemu" || h == "kvm") && !slices.Contains(have, "nova-compute-kvm") && !slices.Contains(have, "nova-compute-qemu") {
		out = append(out, fmt.Sprintf("hypervisor %s needs the package nova-compute-kvm or nova-compute-qemu", h))
	}
	for _, name := range s.OpenStack.Services {
		if !known[name] {
			out = append(out, fmt.Sprintf("%s is not for the role %q", name, cmp.Or(role, "all")))
		}
	}
	if r.Boot.Target != "basic.target" {
		out = append(out, "needs boot.target: basic.target, or services start before they are configured")
	}
	return out
}

// infrastructurePackages are those that every cloud of ours stands on.
var infrastructurePackages = []string{"mariadb-server", "rabbitmq-server", "memcached", "keystone"}

// startInfrastructure starts what the services stand on, and gives each its database and account.
func (o *openStack) startInfrastructure(ctx context.Context) error {
	// The broker takes longest to start and is needed last.
	if err := o.systemctl(ctx, "start", "--no-block", "rabbitmq-server.service"); err != nil {
		return err
	}
	if err := o.systemctl(ctx, "start", "mariadb.service", "memcached.service"); err != nil {
		return err
	}
	sql := machine.Command{Argv: []string{"mysql", "--batch"}, Stdin: []byte(o.databaseSQL()), Log: o.log}
	if err := o.m.Run(ctx, sql); err != nil {
		return fmt.Errorf("databases: %w", err)
	}
	if err := o.systemctl(ctx, "start", "rabbitmq-server.service"); err != nil {
		return fmt.Errorf("message broker: %w", err)
	}
	// The password goes through standard input, so that it is in no process list.
	add := machine.Command{Argv: []string{"rabbitmqctl", "-q", "add_user", "openstack"}, Stdin: []byte(o.password("rabbit") + "\n"), Log: o.log}
	return errors.Join(o.m.Run(ctx, add), o.run(ctx, "", "rabbitmqctl", "-q", "set_permissions", "openstack", ".*", ".*", ".*"))
}

// databaseSQL makes every service's databases and its account, which may come from this machine only.
func (o *openStack) databaseSQL() string {
	var b strings.Builder
	for _, s := range o.services() {
		if len(s.databases) == 0 {
			continue
		}
		fmt.Fprintf(&b, "CREATE USER '%s'@'localhost' IDENTIFIED BY '%s';\n", s.name, o.password("mysql/"+s.name))
		for _, d := range s.databases {
			fmt.Fprintf(&b, "CREATE DATABASE %s CHARACTER SET utf8mb3; GRANT ALL ON %s.* TO '%s'@'localhost';\n", d, d, s.name)
		}
	}
	return b.String()
}

// syncSchemas creates the tables. The services' tools are single-threaded and independent, so two run at a time.
func (o *openStack) syncSchemas(ctx context.Context) error {
	list := o.services()
	slots, errs := make(chan struct{}, 2), make(chan error, len(list))
	for _, s := range list {
		go func() {
			slots <- struct{}{}
			errs <- o.syncSchema(ctx, s)
			<-slots
		}()
	}
	var all error
	for range list {
		all = errors.Join(all, <-errs)
	}
	return all
}

func (o *openStack) syncSchema(ctx context.Context, s service) error {
	for _, argv := range s.sync {
		if err := o.run(ctx, s.name, argv...); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// startKeystone makes its keys and the first account and lets it answer.
func (o *openStack) startKeystone(ctx context.Context) error {
	owner := []string{"--keystone-user", "keystone", "--keystone-group", "keystone"}
	for _, cmd := range []string{"fernet_setup", "credential_setup"} {
		if err := o.run(ctx, "", append([]string{"keystone-manage", cmd}, owner...)...); err != nil {
			return err
		}
	}
	url := o.public(5000, "/v3")
	bootstrap := machine.Command{
		Argv: []string{"keystone-manage", "bootstrap", "--bootstrap-region-id", o.Region,
			"--bootstrap-public-url", url, "--bootstrap-internal-url", url, "--bootstrap-admin-url", url},
		Env: []string{"OS_BOOTSTRAP_PASSWORD=" + o.password("keystone/admin")}, // not in the process list
		Log: o.log, User: "keystone",
	}
	if err := o.m.Run(ctx, bootstrap); err != nil {
		return err
	}
	if err := o.systemctl(ctx, "start", "keystone.service"); err != nil {
		return err
	}
	return o.answers(ctx, o.public(5000, "/v3"))
}

// units lists the services' units.
func (o *openStack) units() []string {
	var units []string
	for _, s := range o.services() {
		units = append(units, s.units...)
	}
	return units
}

// enableServices lets every service start at boot.
func (o *openStack) enableServices(ctx context.Context) error {
	return o.systemctl(ctx, append([]string{"enable"}, o.units()...)...)
}

// startServices enables and starts every service, each once, with its configuration.
func (o *openStack) startServices(ctx context.Context) error {
	if err := o.enableServices(ctx); err != nil {
		return err
	}
	if o.has("neutron") {
		if err := o.externalBridge(ctx); err != nil {
			return err
		}
	}
	// Not waiting here: that a start took long is no failure, and the next stages know when a service works.
	return o.systemctl(ctx, append([]string{"start", "--no-block"}, o.units()...)...)
}

// explain writes into the log what systemd knows of a failure.
func (o *openStack) explain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), explainTime)
	defer cancel()
	return o.run(ctx, "", "sh", "-c", "systemctl --no-pager list-jobs; systemctl --no-pager status --failed; journalctl --no-pager -b -p warning -n 200; "+
		"tail -n 20 /var/log/*/nova-*.log /var/log/*/neutron-*.log /var/log/*/cinder-*.log")
}

const explainTime = 30 * time.Second
