package inspect

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/tree"
)

func treeOf(t testing.TB, files map[string]string) *tree.FS {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestPackstackMachine(t *testing.T) {
	root := treeOf(t, map[string]string{
		"usr/lib/os-release":                            "NAME=\"CentOS Stream\"\nID=\"centos\"\nVERSION_ID=\"9\"\nPRETTY_NAME=\"CentOS Stream 9\"\n",
		"boot/vmlinuz-5.14.0-1.el9.x86_64":              "",
		"etc/hostname":                                  "golden.example.org\n",
		"etc/machine-id":                                "0123456789abcdef0123456789abcdef\n",
		"etc/sysconfig/network-scripts/ifcfg-lo":        "DEVICE=lo\nIPADDR=127.0.0.1\n",
		"etc/sysconfig/network-scripts/ifcfg-br-ex":     "DEVICE=br-ex\nIPADDR=10.0.0.1\nNETMASK=255.255.255.0\nOVS_EXTRA=\"set bridge br-ex other-config:hwaddr=52:54:00:AB:cd:01\"\n",
		"etc/hosts":                                     "127.0.0.1 localhost\n# 10.9.9.9 old\n10.0.0.1 golden\n",
		"etc/nova/nova.conf":                            "[DEFAULT]\nmy_ip=10.0.0.1\n",
		"etc/openvswitch/conf.db":                       "",
		"root/keystonerc_admin":                         "",
		"root/packstack-answers-20260101-000000.txt":    "CONFIG_CONTROLLER_HOST=10.0.0.1\n",
		"usr/sbin/dhclient":                             "",
		"etc/goldsmith/imprint.json":                    `{"format":1,"image":"golden","stacks":["nova"]}`,
		"etc/systemd/system/multi-user.target.wants/no": "",
	})
	owners := []Owner{{Name: "nova", Files: []string{"/etc/nova/nova.conf", "/etc/nova/nova-*.conf"}}, {Name: "hosts", Base: true, Files: []string{"/etc/hosts"}}}
	m := Tree(root, owners)
	if m.Imprint == nil || m.Imprint.Image != "golden" {
		t.Errorf("imprint: %+v", m.Imprint)
	}
	m.Imprint = nil
	want := Machine{
		OS: OS{"centos", "9", "CentOS Stream 9"}, Kernels: []string{"5.14.0-1.el9.x86_64"}, Hostname: "golden.example.org", MachineID: "set",
		Network: []Finding{{"ifcfg", "/etc/sysconfig/network-scripts/ifcfg-br-ex"}, {"openvswitch bridge", "/etc/sysconfig/network-scripts/ifcfg-br-ex"}},
		DHCP:    []Finding{{"dhclient", "/usr/sbin/dhclient"}},
		Stacks: []Finding{{"packstack", "/root/packstack-answers-20260101-000000.txt"}, {"nova", "/etc/nova/nova.conf"},
			{"openvswitch", "/etc/openvswitch/conf.db"}},
		Addresses: []Place{{"10.0.0.1", "/etc/hosts:3"}},
		MACs:      []Place{{"52:54:00:ab:cd:01", "/etc/sysconfig/network-scripts/ifcfg-br-ex:4"}},
		Owns:      []Owned{{"nova", "/etc/nova/nova.conf"}, {"hosts", "/etc/hosts"}},
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
}

func TestPlainMachines(t *testing.T) {
	for _, c := range []struct {
		name, id, network, dhcp string
		files                   map[string]string
	}{
		{"nothing", "missing", "", "", nil},
		{"debian", "uninitialized", "ifupdown", "dhclient", map[string]string{"etc/machine-id": "uninitialized\n", "sbin/dhclient": "",
			"etc/network/interfaces": "auto lo\niface lo inet loopback\n"}},
		{"networkd", "empty", "systemd-networkd", "systemd-networkd (built in)", map[string]string{"etc/machine-id": "",
			"etc/systemd/network/80-dhcp.network": "[Network]\nDHCP=yes\n"}},
		{"fedora", "set", "NetworkManager", "NetworkManager (built in)", map[string]string{"etc/machine-id": "0123",
			"etc/NetworkManager/system-connections/eth0.nmconnection": "[ipv4]\nmethod=auto\n"}},
	} {
		m := Tree(treeOf(t, c.files), nil)
		if m.MachineID != c.id || first(m.Network) != c.network || first(m.DHCP) != c.dhcp || len(m.Stacks) > 0 {
			t.Errorf("%s: %+v", c.name, m)
		}
	}
}

func first(list []Finding) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].Name
}

func FuzzTree(f *testing.F) {
	f.Add("ID=x", "10.0.0.1 a", `{"format":1}`)
	f.Fuzz(func(t *testing.T, release, hosts, imprint string) {
		root := treeOf(t, map[string]string{"etc/os-release": release, "etc/hosts": hosts, "etc/goldsmith/imprint.json": imprint})
		m := Tree(root, []Owner{{Name: "x", Files: []string{"/etc/hosts", "[", ""}}})
		if len(m.Addresses) > maxPlaces {
			t.Errorf("%d addresses", len(m.Addresses))
		}
	})
}
