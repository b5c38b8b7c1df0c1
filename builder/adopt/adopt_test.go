package adopt

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"goldsmith/builder/inspect"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// plant makes a tree of files.
func plant(t testing.TB, files map[string]string) *tree.FS {
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

// some is a catalogue of three rewriters.
var some = []inspect.Owner{
	{Name: "hosts", Base: true, Files: []string{"/etc/hosts"}},
	{Name: "keystone", Files: []string{"/etc/keystone/keystone.conf"}},
	{Name: "apache", Files: []string{"/etc/apache2/sites-available/*.conf"}},
}

func derive(t testing.TB, files map[string]string, said Answers) (Draft, error) {
	t.Helper()
	root := plant(t, files)
	return Derive(root, inspect.Tree(root, some), said, some)
}

const lease = `lease {
  interface "ens3";
  fixed-address 10.0.0.99;
  option subnet-mask 255.255.255.0;
}
lease {
  interface "ens3";
  fixed-address 10.0.0.1;
  option subnet-mask 255.255.255.0;
  renew 4 2026/01/01 00:00:00;
}
`

// ovsdb is a database's log: a bridge with a MAC, which is taken away, and another one.
var ovsdb = record(`{"name":"Open_vSwitch","version":"8.3.0"}`) +
	record(`{"Bridge":{"8b1d":{"name":"br-ex","ports":["set",[]],"other_config":["map",[["hwaddr","52:54:00:00:00:08"]]]}},"_date":1}`) +
	record(`{"Bridge":{"8b1d":{"other_config":["map",[["hwaddr","52:54:00:00:00:08"]]]}},"_is_diff":true}`) +
	record(`{"Bridge":{"8b1d":{"other_config":["map",[["hwaddr","52:54:00:00:00:09"]]]}},"_is_diff":true}`)

func record(json string) string {
	return fmt.Sprintf("OVSDB JSON %d 0123456789abcdef0123456789abcdef01234567\n%s\n", len(json)+1, json)
}

func nics(list ...string) []identity.NIC {
	var out []identity.NIC
	for _, s := range list {
		name, mac, _ := strings.Cut(s, "=")
		out = append(out, identity.NIC{Name: name, MAC: mac})
	}
	return out
}

var ten = netip.MustParseAddr("10.0.0.1")

func TestDeriveMachines(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	for name, c := range map[string]struct {
		files map[string]string
		said  Answers
		want  Draft
	}{
		"packstack on CentOS": {
			files: map[string]string{
				"etc/hostname": "packstack.example\n", "etc/machine-id": id + "\n", "etc/hosts": "127.0.0.1 localhost\n10.0.0.1 packstack\n",
				"etc/sysconfig/network-scripts/ifcfg-lo": "DEVICE=lo\nIPADDR=127.0.0.1\n",
				"etc/sysconfig/network-scripts/ifcfg-br-ex": "DEVICE=br-ex\nDEVICETYPE=ovs\nTYPE=OVSBridge\nOVSBOOTPROTO=dhcp\nOVSDHCPINTERFACES=ens3\n" +
					"OVS_EXTRA=\"set bridge br-ex other-config:hwaddr=52:54:00:00:00:01 -- set bridge br-ex fail_mode=standalone\"\n",
				"etc/sysconfig/network-scripts/ifcfg-ens3": "DEVICE=ens3\nTYPE=OVSPort\nOVS_BRIDGE=br-ex\nBOOTPROTO=none\n",
				"var/lib/dhclient/dhclient--br-ex.lease":   strings.ReplaceAll(lease, "ens3", "br-ex"),
				"etc/keystone/keystone.conf":               "[DEFAULT]\n", "root/keystonerc_admin": "", "etc/neutron/x": "",
			},
			want: Draft{Baked: identity.Identity{Hostname: "packstack", Domain: "example", Interface: "br-ex", Address: ten, PrefixLen: 24,
				NICs: nics("ens3=52:54:00:00:00:01"), MachineID: id}, Stacks: []string{"keystone"}},
		},
		"Debian with ifupdown, dhclient and an old udev rule": {
			files: map[string]string{
				"etc/hostname": "cloud0\n", "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 cloud0.lab.example cloud0\n",
				"etc/network/interfaces":                     "auto lo\niface lo inet loopback\nallow-hotplug ens3\niface ens3 inet dhcp\n",
				"etc/udev/rules.d/70-persistent-net.rules":   `SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="52:54:00:00:00:01", NAME="ens3"` + "\n",
				"var/lib/dhcp/dhclient.ens3.leases":          lease,
				"etc/apache2/sites-available/dashboard.conf": "",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Domain: "lab.example", Interface: "ens3", Address: ten, PrefixLen: 24,
				NICs: nics("ens3=52:54:00:00:00:01")}, Stacks: []string{"apache"}},
		},
		"Debian with a static address": {
			files: map[string]string{
				"etc/hostname":           "cloud0\n",
				"etc/network/interfaces": "iface ens3 inet static\n address 10.0.0.1\n netmask 255.255.255.0\n gateway 10.0.0.254\n hwaddress ether 52:54:00:AA:00:01\niface ens4 inet static\n address 192.168.0.1/24\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "ens3", Address: ten, PrefixLen: 24,
				NICs: nics("ens3=52:54:00:aa:00:01", "ens4=")}, Stacks: []string{}},
		},
		"Ubuntu with netplan": {
			files: map[string]string{
				"etc/hostname": "cloud0\n",
				"etc/netplan/50-cloud-init.yaml": "network:\n  version: 2\n  ethernets:\n    nic0:\n      match: {macaddress: \"52:54:00:00:00:01\"}\n      set-name: ens3\n" +
					"      dhcp4: true\n      addresses: [10.0.0.1/24, \"2001:db8::1/64\"]\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "ens3", Address: ten, PrefixLen: 24, Address6: netip.MustParseAddr("2001:db8::1"),
				NICs: nics("ens3=52:54:00:00:00:01")}, Stacks: []string{}},
		},
		"networkd with a bridge": {
			files: map[string]string{
				"etc/hostname":                       "cloud0\n",
				"etc/systemd/network/10-br.netdev":   "[NetDev]\nName=br-ex\nKind=bridge\nMACAddress=52:54:00:00:00:01\n",
				"etc/systemd/network/20-br.network":  "[Match]\nName=br-ex\n[Network]\nAddress=10.0.0.1/24\nGateway=10.0.0.254\n",
				"etc/systemd/network/30-nic.network": "[Match]\nName=enp1s0\n[Network]\nBridge=br-ex\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "br-ex", Address: ten, PrefixLen: 24,
				NICs: nics("enp1s0=52:54:00:00:00:01")}, Stacks: []string{}},
		},
		"networkd that takes any NIC": {
			files: map[string]string{
				"etc/hostname": "cloud0\n", "etc/hosts": "10.0.0.1 cloud0\n",
				"etc/systemd/network/20-dhcp.network": "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Address: ten}, Stacks: []string{}},
		},
		"NetworkManager's keyfiles": {
			files: map[string]string{
				"etc/hostname": "cloud0\n",
				"etc/NetworkManager/system-connections/a.nmconnection": "[connection]\nid=a\ntype=ethernet\ninterface-name=ens3\n[ethernet]\nmac-address=52:54:00:00:00:01\n" +
					"[ipv4]\nmethod=manual\naddress1=10.0.0.1/24,10.0.0.254\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "ens3", Address: ten, PrefixLen: 24,
				NICs: nics("ens3=52:54:00:00:00:01")}, Stacks: []string{}},
		},
		"NetworkManager's lease": {
			files: map[string]string{
				"etc/hostname": "cloud0\n",
				"etc/NetworkManager/system-connections/a.nmconnection":                            "[connection]\nid=a\ntype=ethernet\ninterface-name=ens3\n[ipv4]\nmethod=auto\n",
				"var/lib/NetworkManager/internal-5fb06bd0-0bb0-7ffb-45f1-d6edd65f3e03-ens3.lease": "# This is private data. Do not parse.\nADDRESS=10.0.0.1\nNETMASK=255.255.255.0\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "ens3", Address: ten, PrefixLen: 24, NICs: nics("ens3=")}, Stacks: []string{}},
		},
		"Open vSwitch alone knows the MAC": {
			files: map[string]string{
				"etc/hostname": "cloud0\n", "etc/openvswitch/conf.db": ovsdb, "etc/hosts": "10.0.0.1 cloud0\n",
				"etc/network/interfaces": "iface ens3 inet manual\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "br-ex", Address: ten, NICs: nics("ens3=52:54:00:00:00:09")}, Stacks: []string{}},
		},
		"keystone alone knows the address": {
			files: map[string]string{
				"etc/hostname": "cloud0\n", "etc/keystone/keystone.conf": "",
				"var/lib/mysql/keystone/endpoint.ibd": "\x00\x01http://10.0.0.1:5000/v3\x00http://127.0.0.1:5000/v3\x00http://10.9.9.9:8774/v2.1",
				"etc/network/interfaces":              "iface ens3 inet dhcp\n",
			},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Interface: "ens3", Address: ten, NICs: nics("ens3=")}, Stacks: []string{"keystone"}},
		},
		"a plain machine that names nothing": {
			files: map[string]string{"etc/hostname": "plain\n", "etc/network/interfaces": "iface eth0 inet dhcp\n"},
			want:  Draft{Baked: identity.Identity{Hostname: "plain", Interface: "eth0", NICs: nics("eth0=")}, Stacks: []string{}, Notes: []string{"no address of the machine stands in it"}},
		},
		"answers win over files": {
			files: map[string]string{"etc/hostname": "localhost\n", "etc/hosts": "10.0.0.7 other\n", "etc/heat/heat.conf": "",
				"etc/network/interfaces": "iface eth0 inet dhcp\niface eth1 inet dhcp\n"},
			said: Answers{Hostname: "cloud0.example", Address: "10.0.0.1/24", Interface: "eth1", NICs: nics("eth1=52:54:00:00:00:02"), Stacks: []string{"keystone"}, Leave: []string{"heat"}},
			want: Draft{Baked: identity.Identity{Hostname: "cloud0", Domain: "example", Interface: "eth1", Address: ten, PrefixLen: 24,
				NICs: nics("eth0=", "eth1=52:54:00:00:00:02")}, Stacks: []string{"keystone"}, Notes: []string{"heat (/etc/heat/heat.conf) is cloned as it is"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := derive(t, c.files, c.said)
			if err != nil {
				t.Fatal(err)
			}
			opts := []cmp.Option{cmpopts.IgnoreFields(Draft{}, "Why"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })}
			if diff := cmp.Diff(c.want, got, opts...); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, w := range got.Why {
				if w.What == "" || w.Value == "" || w.Where == "" {
					t.Errorf("a reason says too little: %+v", w)
				}
			}
		})
	}
}

// TestDeriveAsks shows that every unknown is named at once, each with the flag that answers it.
func TestDeriveAsks(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		said  Answers
		want  []string
		hints []string
	}{
		"nothing is known": {
			files: map[string]string{"etc/hostname": "localhost.localdomain\n", "etc/heat/heat.conf": "",
				"etc/network/interfaces": "iface eth0 inet dhcp\niface eth1 inet dhcp\n", "etc/systemd/network/1.link": "[Match]\nMACAddress=52:54:00:00:00:01\n[Link]\nMTUBytes=1500\n"},
			want: []string{`the host name of the machine is unknown: /etc/hostname says "localhost.localdomain"`,
				"eth0, eth1 are configured", "the machine's address is unknown", "the MAC 52:54:00:00:00:01 in /etc/systemd/network/1.link belongs to no NIC",
				"heat is in the machine (/etc/heat/heat.conf), and firstboot does not know"},
			hints: []string{"--hostname NAME", "--interface eth0", "--address ADDRESS, or --address none if it stands nowhere in the machine",
				"--nic NAME=52:54:00:00:00:01", "--leave heat, if its clones may share all that it knows"},
		},
		"two addresses": {
			files: map[string]string{"etc/hostname": "cloud0\n", "etc/hosts": "10.0.0.2 cloud0\n", "etc/network/interfaces": "iface eth0 inet static\n address 10.0.0.1/24\n"},
			want:  []string{"it has several: 10.0.0.1/24 (/etc/network/interfaces), 10.0.0.2 (/etc/hosts)"}, hints: []string{"--address 10.0.0.1"},
		},
		"two MACs for one NIC": {
			files: map[string]string{"etc/hostname": "cloud0\n", "etc/network/interfaces": "iface eth0 inet dhcp\n hwaddress 52:54:00:00:00:01\n",
				"etc/udev/rules.d/70-persistent-net.rules": `ATTR{address}=="52:54:00:00:00:02", NAME="eth0"`},
			want: []string{"the NIC eth0 has several MACs: 52:54:00:00:00:01 (/etc/network/interfaces), 52:54:00:00:00:02"}, hints: []string{"--nic eth0=52:54:00:00:00:01"},
		},
		"a file that nobody can read": {
			files: map[string]string{"etc/hostname": "cloud0\n", "etc/netplan/1.yaml": "network: &anchor\n"},
			want:  []string{"cannot read /etc/netplan/1.yaml"}, hints: []string{"repair or remove the file in the machine, and export it again"},
		},
		"a golden image": {
			files: map[string]string{"etc/goldsmith/imprint.json": `{"format":1,"image":"old"}`},
			want:  []string{"this is a golden image already, called old"}, hints: []string{"clone it: goldsmith clone IMAGE -n 3"},
		},
		"wrong answers": {
			files: map[string]string{"etc/hostname": "a\n"}, said: Answers{Hostname: "-x", Address: "ten", Stacks: []string{"nothing"}},
			want: []string{`"-x", from --hostname, is no host name`, `"ten" is no address`, "no rewriter is called nothing"}, hints: []string{"--hostname NAME", "--address 192.0.2.1", "firstboot list"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := derive(t, c.files, c.said)
			if report.CodeOf(err) != report.Refused {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no word of %q in:\n%v", w, err)
				}
			}
			if n := len(strings.Split(err.Error(), "\n")); n != len(c.want) {
				t.Errorf("%d complaints:\n%v", n, err)
			}
			if diff := cmp.Diff(c.hints, report.Hints(err), cmpopts.SortSlices(strings.Compare)); diff != "" {
				t.Errorf("hints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDhcpcdLease(t *testing.T) {
	packet := make([]byte, 300)
	packet[0] = 2
	copy(packet[yiaddrAt:], []byte{10, 0, 0, 1})
	copy(packet[chaddrAt:], []byte{0x52, 0x54, 0, 0, 0, 1})
	d, err := derive(t, map[string]string{"etc/hostname": "cloud0\n", "var/lib/dhcpcd/eth0-cell.lease": string(packet)}, Answers{})
	if err != nil || d.Baked.Address != ten || d.Baked.MAC("eth0") != "52:54:00:00:00:01" {
		t.Errorf("%+v, %v", d.Baked, err)
	}
}

// FuzzLook shows that no file of a machine makes the survey stop or hang.
func FuzzLook(f *testing.F) {
	f.Add(lease, ovsdb, "iface a inet static\n address 1\n", "DEVICE=x\nIPADDR=y\n", "network: {ethernets: {a: {addresses: [x]}}}", "[Match]\nName=a\n[Network]\nAddress=b\n")
	f.Fuzz(func(t *testing.T, lease, db, ifaces, ifcfg, netplan, network string) {
		_, err := derive(t, map[string]string{
			"etc/hostname": "cloud0", "var/lib/dhcp/dhclient.leases": lease, "var/lib/dhcpcd/a.lease": lease, "var/lib/NetworkManager/internal-1-a.lease": lease,
			"etc/openvswitch/conf.db": db, "etc/network/interfaces": ifaces, "etc/sysconfig/network-scripts/ifcfg-a": ifcfg,
			"etc/netplan/a.yaml": netplan, "etc/systemd/network/a.network": network, "etc/NetworkManager/system-connections/a": network,
		}, Answers{})
		if err != nil && report.CodeOf(err) != report.Refused {
			t.Error(err)
		}
	})
}

// TestDeriveOVirt: an engine brings its database along; a host of a hosted engine is refused, whatever is said, with the reason.
func TestDeriveOVirt(t *testing.T) {
	owners := append(some, inspect.Owner{Name: "ovirt", Files: []string{"/etc/ovirt-engine/engine.conf.d/*.conf"}})
	files := map[string]string{"etc/hostname": "engine.example.net\n", "etc/hosts": "10.0.0.1 engine.example.net engine\n", "etc/machine-id": "00112233445566778899aabbccddeeff\n",
		"etc/ovirt-engine/engine.conf.d/10-setup-protocols.conf": "ENGINE_FQDN=engine.example.net\n", "var/lib/pgsql/data/PG_VERSION": "13\n"}
	root := plant(t, files)
	d, err := Derive(root, inspect.Tree(root, owners), Answers{}, owners)
	if err != nil || len(d.Stacks) != 1 || d.Stacks[0] != "ovirt" || d.Baked.FQDN() != "engine.example.net" {
		t.Errorf("engine: %+v, %v", d, err)
	}
	delete(files, "etc/ovirt-engine/engine.conf.d/10-setup-protocols.conf")
	if _, err := derive(t, files, Answers{}); err == nil || !strings.Contains(err.Error(), "postgresql is in the machine") {
		t.Errorf("a database of somebody else: %v", err)
	}
	files = map[string]string{"etc/hostname": "node1\n", "etc/hosts": "10.0.0.1 node1\n", "etc/vdsm/vdsm.conf": "[vars]\n", "etc/vdsm/vdsm.id": "x\n"}
	if _, err := derive(t, files, Answers{}); err != nil {
		t.Errorf("a host that no engine knows: %v", err)
	}
	files["etc/ovirt-hosted-engine/hosted-engine.conf"] = "host_id=1\n"
	_, err = derive(t, files, Answers{Leave: []string{"vdsm", "hosted-engine"}})
	if err == nil || report.CodeOf(err) != report.Refused || !strings.Contains(err.Error(), "sanlock host id") || !strings.Contains(strings.Join(report.Hints(err), "\n"), "before hosted-engine --deploy") {
		t.Errorf("a host of a hosted engine: %v, hints %q", err, report.Hints(err))
	}
}
