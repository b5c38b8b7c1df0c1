package install

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/recipe"
	"goldsmith/firstboot/identity"
)

func cloud(t *testing.T, services ...string) *openStack {
	t.Helper()
	return &openStack{
		OpenStack: recipe.OpenStack{Services: services, Region: "RegionOne", Workers: 1},
		id:        identity.Marker(), root: opened(t), passwords: map[string]string{},
	}
}

// TestLacks names what a recipe forgot: packages of each service, and the target before any of them runs.
func TestLacks(t *testing.T) {
	step := recipe.Step{Name: "cloud", OpenStack: &recipe.OpenStack{Services: []string{"keystone", "glance"}}}
	r := &recipe.Recipe{Packages: []string{"mariadb-server", "memcached", "keystone"}, Boot: recipe.Boot{Target: "multi-user.target"}}
	want := []string{
		"an OpenStack needs the package rabbitmq-server in packages or layers",
		"glance needs the package glance in packages or layers",
		"needs boot.target: basic.target, or services start before they are configured",
	}
	if diff := cmp.Diff(want, Lacks(r, step)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	r.Layers, r.Boot.Target = []recipe.Layer{{Packages: []string{"rabbitmq-server", "glance"}}}, "basic.target"
	if got := Lacks(r, step); got != nil {
		t.Errorf("nothing is lacking, got %v", got)
	}
	if got := Lacks(r, recipe.Step{Run: "true"}); got != nil {
		t.Errorf("a shell step lacks %v", got)
	}
}

// A compute has no servers of its own, and only the services of a compute.
func TestLacksOfACompute(t *testing.T) {
	step := recipe.Step{Name: "cloud", OpenStack: &recipe.OpenStack{Role: recipe.RoleCompute, Hypervisor: "kvm", Services: []string{"compute", "neutron", "glance"}}}
	r := &recipe.Recipe{Packages: []string{"nova-compute", "neutron-openvswitch-agent"}, Boot: recipe.Boot{Target: "basic.target"}}
	want := []string{"neutron needs the package openvswitch-switch in packages or layers",
		"hypervisor kvm needs the package nova-compute-kvm or nova-compute-qemu", `glance is not for the role "compute"`}
	if diff := cmp.Diff(want, Lacks(r, step)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A compute finds everything at its controller, by name, and is found at its own address. It gets no server's files.
func TestWriteConfigurationOfACompute(t *testing.T) {
	o := cloud(t, "compute", "neutron")
	o.Role = recipe.RoleCompute
	put(t, o.root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644)
	for _, f := range []string{novaConf, "nova/nova-compute.conf", neutronConf, ovsConf} {
		put(t, o.root, "/etc/"+f, "[DEFAULT]\n", 0o640)
	}
	if err := o.writeConfiguration(t.Context()); err != nil {
		t.Fatal(err)
	}
	conf, err := o.root.ReadFile("etc/" + novaConf)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"my_ip = 198.51.100.77", "rabbit://openstack:" + o.password("rabbit") + "@controller:5672/", "auth_url = http://controller:5000/v3",
		"server_proxyclient_address = 198.51.100.77", "novncproxy_base_url = http://controller:6080/"} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("nova.conf lacks %q:\n%s", want, conf)
		}
	}
	for _, never := range []string{"mysql", "127.0.0.1", "\nhost = "} {
		if strings.Contains(string(conf), never) {
			t.Errorf("nova.conf has %q:\n%s", never, conf)
		}
	}
	for _, file := range []string{"root/openrc", "etc/rabbitmq", "etc/mysql"} {
		if o.root.Exists(file) {
			t.Errorf("%s is not for a compute", file)
		}
	}
}

// TestWriteConfiguration writes into the files of the packages and keeps what else is in them. Services find each other
// over the loopback; only Horizon names the machine.
func TestWriteConfiguration(t *testing.T) {
	o := cloud(t, "keystone", "horizon")
	put(t, o.root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644)
	put(t, o.root, "/etc/keystone/keystone.conf", "[DEFAULT]\n# kept\nlog_dir = /var/log/keystone\n\n[database]\n#connection = <None>\n", 0o640)
	put(t, o.root, "/etc/keystone/keystone-uwsgi.ini", "[uwsgi]\n# number of core*2\nprocesses = 8\nthreads = 32\n", 0o644)
	put(t, o.root, "/"+horizonSettings, "ALLOWED_HOSTS = ['build.example', 'localhost', ]\nOPENSTACK_HOST = \"127.0.0.1\"\nOPENSTACK_KEYSTONE_URL = \"http://%s/identity/v3\" % OPENSTACK_HOST\n", 0o644)
	put(t, o.root, "/"+horizonSite, "<VirtualHost *:80>\n    ServerAdmin webmaster@localhost\n    WSGIDaemonProcess horizon user=www-data group=www-data\n    #WSGIProcessGroup openstack-dashboard\n</VirtualHost>\n", 0o644)
	if err := o.writeConfiguration(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := o.password("mysql/keystone")
	for name, want := range map[string]string{
		"etc/keystone/keystone-uwsgi.ini": "[uwsgi]\n# number of core*2\nprocesses = 1\nthreads = 1\n",
		horizonSettings:                   "ALLOWED_HOSTS = ['198.51.100.77', 'goldsmith-marker', 'localhost']\nOPENSTACK_HOST = \"198.51.100.77\"\nOPENSTACK_KEYSTONE_URL = \"http://%s:5000/v3\" % OPENSTACK_HOST\n",
		horizonSite: "<VirtualHost *:80>\n    ServerName 198.51.100.77\n    ServerAlias goldsmith-marker.invalid goldsmith-marker\n    ServerAdmin webmaster@localhost\n" +
			"    WSGIDaemonProcess horizon user=www-data group=www-data\n    WSGIProcessGroup horizon\n    WSGIApplicationGroup %{GLOBAL}\n</VirtualHost>\n",
	} {
		if data, err := o.root.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(want, string(data)))
		}
	}
	conf, err := o.root.ReadFile("etc/keystone/keystone.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# kept\nlog_dir = /var/log/keystone", "connection = mysql+pymysql://keystone:" + db + "@127.0.0.1/keystone", "provider = fernet"} {
		if !strings.Contains(string(conf), want) {
			t.Errorf("keystone.conf lacks %q:\n%s", want, conf)
		}
	}
	if st, err := o.root.Stat("root/openrc"); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("openrc: %v, %v", st, err)
	}
}

// TestWriteConfigurationMissing names every file that a package should have brought.
func TestWriteConfigurationMissing(t *testing.T) {
	o := cloud(t, "keystone", "glance", "placement")
	put(t, o.root, "/etc/passwd", "root:x:0:0::/root:/bin/sh\n", 0o644)
	err := o.writeConfiguration(t.Context())
	for _, want := range []string{"etc/keystone/keystone.conf", "etc/glance/glance-api.conf", "etc/placement/placement.conf"} {
		if err == nil || !strings.Contains(err.Error(), "cannot read "+want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}

// TestDatabaseSQL gives every service an account of its own, with a password of its own, from this machine only.
func TestDatabaseSQL(t *testing.T) {
	o := cloud(t, "keystone", "glance", "horizon")
	sql := o.databaseSQL()
	for _, want := range []string{
		"CREATE USER 'keystone'@'localhost' IDENTIFIED BY '" + o.password("mysql/keystone") + "';",
		"CREATE DATABASE glance CHARACTER SET utf8mb3; GRANT ALL ON glance.* TO 'glance'@'localhost';",
	} {
		if !strings.Contains(sql, want) {
			t.Errorf("no %q in\n%s", want, sql)
		}
	}
	if strings.Contains(sql, "horizon") || strings.Contains(sql, "%") {
		t.Errorf("too much:\n%s", sql)
	}
	if a, b := o.password("mysql/keystone"), o.password("mysql/glance"); a == b || len(a) < 26 {
		t.Errorf("passwords %q, %q", a, b)
	}
}
