package rewriters_test

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// fixture returns a fixture by name.
func fixture(t testing.TB, name string) *rewritertest.Fixture {
	t.Helper()
	for _, f := range rewritertest.All(t, "testdata") {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no fixture %s", name)
	return nil
}

// The accounts of the fixture keystone-debian, by their golden passwords.
var goldenPasswords = map[string]string{
	"mysql/keystone": "KeystoneDbGolden7", "rabbit/openstack": "BusGolden345", "keystone/admin": "AdminGolden2345", "keystone/glance": "GlanceGolden9",
}

// A password changes in all of its places or in none; and where it stays, somebody is told why.
func TestPasswordsChangeEverywhereOrNowhere(t *testing.T) {
	const conf, rc = "/etc/glance/glance-api.conf", "/root/openrc"
	edit := func(file, old, now string) func(*rewritertest.Fixture) {
		return func(f *rewritertest.Fixture) { f.Files[file] = strings.ReplaceAll(f.Files[file], old, now) }
	}
	add := func(file, text string) func(*rewritertest.Fixture) {
		return func(f *rewritertest.Fixture) { f.Files[file] += text }
	}
	for _, c := range []struct {
		name  string
		spoil func(*rewritertest.Fixture)
		kept  string // account; "" when all change
		why   string
	}{
		{name: "all change", spoil: func(*rewritertest.Fixture) {}},
		{name: "a comment is no place", spoil: add("/etc/backup.sh", "# AdminGolden2345\n")},
		{name: "a longer word is no place", spoil: add("/etc/backup.sh", "x=AdminGolden23456 yAdminGolden2345\n")},
		{name: "a script has it", spoil: add("/etc/backup.sh", "mysqldump -ukeystone -pKeystoneDbGolden7\nexport P='AdminGolden2345'\n"), kept: "keystone/admin", why: "/etc/backup.sh"},
		{name: "a hidden file below /root has it", spoil: add("/root/.config/x", "AdminGolden2345"), kept: "keystone/admin", why: "/root/.config/x"},
		{name: "an option that is no password", spoil: add(conf, "[x]\nkey_of = BusGolden345\n"), kept: "rabbit/openstack", why: "[x] key_of"},
		{name: "a URL of another kind", spoil: add(conf, "[x]\nbackend = etcd://a:BusGolden345@h\n"), kept: "rabbit/openstack", why: "[x] backend"},
		{name: "two places that differ", spoil: add(conf, "[x]\ntransport_url = rabbit://openstack:other@10.0.0.1/\n"), kept: "rabbit/openstack", why: "another one"},
		{name: "a bus with two passwords", spoil: edit(conf, "BusGolden345@10.0.0.1:5672", "BusGolden345@10.0.0.1:5672,openstack:z@10.0.0.1:5673"), kept: "rabbit/openstack", why: "several"},
		{name: "a bus elsewhere", spoil: edit(conf, "BusGolden345@10.0.0.1", "BusGolden345@10.0.0.100"), kept: "rabbit/openstack", why: "10.0.0.100"},
		{name: "keystone knows another", spoil: edit(rc, "AdminGolden2345", "Changed99999"), kept: "keystone/admin", why: "keystone has another"},
		{name: "no such user", spoil: edit(rc, "OS_USERNAME=admin", "OS_USERNAME=adm"), kept: "keystone/adm", why: "no such user"},
		{name: "two such users", spoil: func(f *rewritertest.Fixture) {
			name, id := "Admin", "9"
			f.Tables["keystone.local_user"].Rows = append(f.Tables["keystone.local_user"].Rows, map[string]*string{"id": &id, "name": &name})
		}, kept: "keystone/admin", why: "two domains"},
		{name: "the database knows another for one host", spoil: func(f *rewritertest.Fixture) { f.Users[1]["hash"] = "*00" }, kept: "mysql/keystone", why: "keystone@%"},
		{name: "Erlang has arguments", spoil: add("/etc/rabbitmq/rabbitmq-env.conf", "SERVER_ADDITIONAL_ERL_ARGS=+x\n"), kept: "rabbit/openstack", why: "arguments of its own"},
		{name: "the recipe keeps it", spoil: func(f *rewritertest.Fixture) { f.Scene.Policy.KeepSecrets = []string{"keystone/admin"} }, kept: "keystone/admin"},
		{name: "the recipe keeps a kind", spoil: func(f *rewritertest.Fixture) { f.Scene.Policy.KeepSecrets = []string{"rabbit"} }, kept: "rabbit/openstack"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fixture(t, "keystone-debian")
			c.spoil(f)
			m := newMachine(t, f)
			before := m.files(t)
			changes := m.become(t, f.Scene.To[0], true)
			told, after := m.told(t), m.files(t)
			for name, old := range goldenPasswords {
				kept := name == c.kept || c.kept == "keystone/adm" && name == "keystone/admin"
				if _, ok := told[name]; ok == kept {
					t.Errorf("%s: told %v, kept %v", name, ok, kept)
				}
				if kept {
					same(t, before, after, old)
				} else {
					gone(t, after, old, told[name])
				}
			}
			reason(t, changes, c.kept, c.why)
			if again := m.become(t, f.Scene.To[0], true); len(again) > 0 {
				t.Errorf("a second plan is not empty:\n%s", render(again))
			}
		})
	}
}

// told reads what the administrator is told.
func (m *machine) told(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, identity.SecretsFile))
	check(t, err)
	info, err := os.Stat(filepath.Join(m.dir, identity.SecretsFile))
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the secrets have mode %v", info.Mode())
	}
	var out map[string]string
	check(t, json.Unmarshal(data, &out))
	return out
}

func same(t *testing.T, before, after map[string]string, password string) {
	t.Helper()
	for name, data := range before {
		if strings.Contains(data, password) && strings.Count(after[name], password) != strings.Count(data, password) {
			t.Errorf("%s lost a password that is kept", name)
		}
	}
}

// gone: neither the old password nor its hash is anywhere, comments and words of others apart.
func gone(t *testing.T, after map[string]string, old, now string) {
	t.Helper()
	if len(now) != 32 {
		t.Errorf("the new password is %q", now)
	}
	for name, data := range after {
		if name != "/etc/backup.sh" && mentions(data, old) {
			t.Errorf("%s still has a golden password", name)
		}
	}
}

func reason(t *testing.T, changes []plan.Change, account, why string) {
	t.Helper()
	for _, c := range changes {
		if c.Kind == "note" && c.Where == "password of "+account {
			if why == "" || !strings.Contains(c.Want.Text, why) {
				t.Errorf("says %q, not %q", c.Want.Text, why)
			}
			return
		}
	}
	if why != "" {
		t.Errorf("nobody is told why %s stays", account)
	}
}

// Other nodes of a cluster were baked with the same passwords, and would be locked out.
func TestPasswordsOfAClusterStay(t *testing.T) {
	f := fixture(t, "keystone-debian")
	to := f.Scene.To[0]
	to.Peers = map[string]netip.Addr{"compute1": netip.MustParseAddr("10.0.0.50")}
	m := newMachine(t, f)
	before := m.files(t)
	m.become(t, to, true)
	after := m.files(t)
	for _, old := range goldenPasswords {
		same(t, before, after, old)
	}
}

// Nodes that were told one secret come to the same passwords, each with a seed of its own: the controller in its servers and
// files, the compute, which has no server, in its files. Another cluster comes to others.
func TestPasswordsOfAClusterWithASecret(t *testing.T) {
	node := func(name, seed, cluster string) map[string]string {
		t.Helper()
		f := fixture(t, name)
		to := f.Scene.To[0]
		if to.Peers == nil {
			to.Peers = map[string]netip.Addr{"compute1": netip.MustParseAddr("10.0.0.50")}
		}
		m := newMachine(t, f)
		m.seed, m.cluster = rewriters.Seed(seed), rewriters.ClusterSeed(cluster)
		m.become(t, to, true)
		if again := m.become(t, to, true); len(again) > 0 {
			t.Errorf("%s: a second plan is not empty:\n%s", name, render(again))
		}
		for file, data := range m.files(t) {
			if strings.Contains(data, "OfNobody") || strings.Contains(data, "BusGolden345@") {
				t.Errorf("%s: %s still has a golden password", name, file)
			}
		}
		return m.told(t)
	}
	controller := node("openstack-debian", "0123456789abcdef0123456789abcdef", "the secret of east")
	compute := node("openstack-compute", "fedcba9876543210fedcba9876543210", "the secret of east")
	other := node("openstack-compute", "fedcba9876543210fedcba9876543210", "the secret of west")
	for _, name := range []string{"rabbit/openstack", "keystone/nova", "keystone/neutron", "keystone/placement"} {
		if compute[name] == "" || compute[name] != controller[name] {
			t.Errorf("%s: %q on the compute, %q on its controller", name, compute[name], controller[name])
		}
		if compute[name] == other[name] {
			t.Errorf("%s is the same in two clusters", name)
		}
	}
}

// A run that was cut after the files and before the servers knows its own passwords again.
func TestPasswordsAfterACut(t *testing.T) {
	f := fixture(t, "keystone-debian")
	m := newMachine(t, f)
	m.become(t, f.Scene.To[0], true)
	want := m.files(t)
	golden := fixture(t, "keystone-debian")
	f.Users, f.Tables["keystone.password"] = golden.Users, golden.Tables["keystone.password"]
	for i, c := range m.become(t, f.Scene.To[0], true) {
		if (c.By != "accounts" || i >= 4) && c.Kind != "note" {
			t.Errorf("not one of the four hashes: %s", c.ID())
		}
	}
	for name, data := range m.files(t) {
		if want[name] != data {
			t.Errorf("%s differs", name)
		}
	}
}

// A clone that has converged has passwords of its own, and its administrator may have changed them.
func TestPasswordsStayLater(t *testing.T) {
	f := fixture(t, "keystone-debian")
	m := newMachine(t, f)
	m.become(t, f.Scene.To[0], true)
	check(t, os.WriteFile(filepath.Join(m.dir, "root/openrc"), []byte("export OS_USERNAME=admin OS_PASSWORD=gold\n"), 0o600))
	if changes := m.become(t, f.Scene.To[0], false); len(changes) != 0 {
		t.Errorf("changed:\n%s", render(changes))
	}
}
