package install

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"goldsmith/firstboot/text/oned"
)

func stockConf(t *testing.T, release string) *oned.File {
	t.Helper()
	f, err := oned.Parse([]byte(read(t, "../../firstboot/text/oned/testdata/"+release+"/oned.conf")))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPackagesByReleaseAndRole(t *testing.T) {
	for _, tc := range []struct {
		release   string
		role      Role
		has, lack []string
	}{
		{"5.8", FrontEnd, []string{"opennebula", "opennebula-sunstone", "opennebula-gate", "opennebula-flow"}, []string{"opennebula-fireedge", "opennebula-node"}},
		{"5.8", Node, []string{"opennebula-node"}, []string{"opennebula", "opennebula-node-kvm"}},
		{"6.10.5", AllInOne, []string{"opennebula-fireedge", "opennebula-sunstone", "opennebula-node-kvm"}, []string{"opennebula-node"}},
		{"7.0", FrontEnd, []string{"opennebula-fireedge"}, []string{"opennebula-sunstone"}},
	} {
		r, err := ParseRelease(tc.release)
		if err != nil {
			t.Fatal(err)
		}
		got := OpenNebulaPackages(r, tc.role)
		for _, p := range tc.has {
			if !slices.Contains(got, p) {
				t.Errorf("%s %s lacks %s: %v", tc.release, tc.role, p, got)
			}
		}
		for _, p := range tc.lack {
			if slices.Contains(got, p) {
				t.Errorf("%s %s has %s", tc.release, tc.role, p)
			}
		}
	}
	for _, bad := range []string{"", "6", "six.ten", "4.14"} {
		if _, err := ParseRelease(bad); err == nil {
			t.Errorf("%q is a release", bad)
		}
	}
}

func TestMariaDBEdits(t *testing.T) {
	for _, release := range releases {
		root := stockMachine(t, release)
		before := readAll(t, content(t, root, onedConf))
		if _, err := Apply(root, MariaDBEdits(`pass"word`)); err != nil {
			t.Fatal(err)
		}
		want := before
		for k, v := range map[string]string{"BACKEND": "mysql", "SERVER": "localhost", "PORT": "0", "USER": "oneadmin", "PASSWD": `pass"word`,
			"DB_NAME": "opennebula", "CONNECTIONS": "25", "COMPARE_BINARY": "no"} {
			want["DB/"+k] = v
		}
		if diff := cmp.Diff(want, readAll(t, content(t, root, onedConf))); diff != "" {
			t.Errorf("%s: %s", release, diff)
		}
		if r, err := Apply(root, MariaDBEdits(`pass"word`)); err != nil || states(r)[Already] != len(r) {
			t.Errorf("%s, again: %v %v", release, r, err)
		}
	}
}

func TestKVMTuning(t *testing.T) {
	changed := map[string]int{"5.8.5": 4, "5.12.13": 4, "6.10.5": 1, "7.0.2": 1} // since 6.0 all but IO are the default
	for _, release := range releases {
		root := opened(t)
		put(t, root, kvmConf, read(t, "../../firstboot/text/oned/testdata/"+release+"/vmm_exec_kvm.conf"), 0o644)
		r, err := Apply(root, KVMTuningEdits())
		if err != nil || states(r)[Changed] != changed[release] {
			t.Errorf("%s: %v, %v", release, r, err)
		}
		got := readAll(t, content(t, root, kvmConf))
		if got["FEATURES/GUEST_AGENT"] != "yes" || got["DISK/IO"] != "native" || got["DISK/DISCARD"] != "unmap" || got["NIC/MODEL"] != "virtio" {
			t.Errorf("%s: %v", release, got)
		}
		if r, err := Apply(root, KVMTuningEdits()); err != nil || states(r)[Already] != len(r) {
			t.Errorf("%s, again: %v %v", release, r, err)
		}
	}
}

func TestHooksParse(t *testing.T) {
	hooks, err := AutostartHooks(Release{6, 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hooks {
		if got := readAll(t, h); got["ARGUMENTS_STDIN"] != "yes" || got["TYPE"] != "state" || got["NAME"] == "" {
			t.Errorf("%v", got)
		}
	}
	if _, err := AutostartHooks(Release{5, 10}); err == nil {
		t.Error("5.10 ships no such scripts")
	}
}

// The matrix as a real oned 6.10.5 answered onevm deploy.
func TestCompatible(t *testing.T) {
	conf := stockConf(t, "6.10.5")
	for _, tc := range []struct {
		image, system string
		ok            bool
	}{{"ssh", "ssh", true}, {"ssh", "shared", false}, {"shared", "ssh", true}, {"shared", "shared", true}, {"qcow2", "ssh", true},
		{"qcow2", "shared", false}, {"ceph", "shared", true}} {
		err := Compatible(conf, Datastore{Name: "i", TMMad: tc.image}, Datastore{Name: "s", TMMad: tc.system})
		if (err == nil) != tc.ok {
			t.Errorf("image %s on system %s: %v", tc.image, tc.system, err)
		}
		if !tc.ok && !strings.Contains(err.Error(), "does not support transfer mode: "+tc.system) {
			t.Errorf("%v", err)
		}
	}
}

func TestCheckDatastores(t *testing.T) {
	vitastorPair, err := VitastorStore{Pool: "p", Bridges: []string{"n1", "n2"}}.Datastores()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		list []Datastore
		say  string
	}{
		"the defaults":             {[]Datastore{{Name: "i", Type: ImageStore, DSMad: "fs", TMMad: "ssh"}, {Name: "s", Type: SystemStore, TMMad: "ssh"}, {Name: "f", Type: FileStore, DSMad: "fs", TMMad: "ssh"}}, ""},
		"shared system, ssh image": {[]Datastore{{Name: "i", Type: ImageStore, DSMad: "fs", TMMad: "ssh"}, {Name: "s", Type: SystemStore, TMMad: "shared"}}, "no image datastore can serve system datastore s"},
		"Vitastor without plugin":  {vitastorPair, `TM_MAD named "vitastor" is not defined in oned.conf`},
		"DS_MAD of a system":       {[]Datastore{{Name: "i", Type: ImageStore, DSMad: "fs", TMMad: "ssh"}, {Name: "s", Type: SystemStore, DSMad: "fs", TMMad: "ssh"}}, "cannot have a DS_MAD"},
		"ceph without its hosts":   {[]Datastore{{Name: "i", Type: ImageStore, DSMad: "ceph", TMMad: "ceph", Attrs: [][2]string{{"DISK_TYPE", "RBD"}}}}, "datastore i needs BRIDGE_LIST"},
		"a backup":                 {[]Datastore{{Name: "b", Type: BackupStore, DSMad: "rsync", Attrs: [][2]string{{"RSYNC_HOST", "h"}, {"RSYNC_USER", "u"}}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckDatastores(stockConf(t, "6.10.5"), tc.list)
			if (err == nil) != (tc.say == "") || err != nil && !strings.Contains(err.Error(), tc.say) {
				t.Errorf("error %v, want one that says %q", err, tc.say)
			}
		})
	}
	root := stockMachine(t, "6.10.5")
	if _, err := vitastor(t, root, VitastorOptions{}); err != nil {
		t.Fatal(err)
	}
	conf, err := oned.Parse([]byte(content(t, root, onedConf)))
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckDatastores(conf, vitastorPair); err != nil {
		t.Errorf("with the plugin: %v", err)
	}
	if _, err := (VitastorStore{}).Datastores(); err == nil || strings.Count(err.Error(), "needs") != 2 {
		t.Errorf("nothing given: %v", err)
	}
}

// The templates of the plugin's manual.
func TestVitastorTemplates(t *testing.T) {
	pair, err := VitastorStore{Pool: "test1", Bridges: []string{"opennebula1"}}.Datastores()
	if err != nil {
		t.Fatal(err)
	}
	system := map[string]string{"NAME": "Vitastor System", "TM_MAD": "vitastor", "TYPE": "SYSTEM_DS", "BRIDGE_LIST": "opennebula1",
		"POOL_NAME": "test1", "IMAGE_PREFIX": "one", "VITASTOR_CONF": "/etc/vitastor/vitastor.conf"}
	image := map[string]string{"NAME": "Vitastor Images", "DS_MAD": "vitastor", "TM_MAD": "vitastor", "TYPE": "IMAGE_DS", "DISK_TYPE": "file",
		"BRIDGE_LIST": "opennebula1", "POOL_NAME": "test1", "IMAGE_PREFIX": "one", "STAGING_DIR": "/var/tmp", "VITASTOR_CONF": "/etc/vitastor/vitastor.conf"}
	for i, want := range []map[string]string{image, system} {
		text, err := pair[i].Template()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, readAll(t, text)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestMounts(t *testing.T) {
	nfs, local := StoreMount{ID: 100, Source: "nas:/one/100", Type: "nfs"}, StoreMount{ID: 101, Source: "/dev/one/ds101", Type: "xfs"}
	if err := CheckMounts([]StoreMount{nfs, local}, map[int]bool{100: true}); err != nil {
		t.Error(err)
	}
	err := CheckMounts([]StoreMount{local, local, {ID: 5, Source: "/dev/sdb1", Type: "xfs"}}, map[int]bool{101: true})
	for _, say := range []string{"101 is shared, but /dev/one/ds101 is a local disk", "101 has two mounts", "hint: UUID="} {
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("error %v does not say %q", err, say)
		}
	}
	root := opened(t)
	edits := StoreWaitEdits([]StoreMount{nfs, local}, "opennebula.service", "libvirtd.service")
	if r, err := Apply(root, edits); err != nil || states(r)[Changed] != 5 {
		t.Errorf("%v %v", r, err)
	}
	if got := content(t, root, "/etc/tmpfiles.d/one-datastores.conf"); got != "z /var/lib/one/datastores/101 0750 oneadmin oneadmin -\n" {
		t.Error(got)
	}
	if got := content(t, root, "/etc/systemd/system/opennebula.service.d/datastores.conf"); got !=
		"[Unit]\nRequiresMountsFor=/var/lib/one/datastores/100 /var/lib/one/datastores/101\n" {
		t.Error(got)
	}
}

func TestNetworkTemplates(t *testing.T) {
	plain := BridgedNetwork("guests", "onebr0")
	plain.First, plain.Mask = netip.MustParseAddr("10.0.3.10"), netip.MustParsePrefix("10.0.3.0/24")
	plain.Gateway, plain.DNS = netip.MustParseAddr("10.0.3.1"), []netip.Addr{netip.MustParseAddr("10.0.3.2")}
	for name, tc := range map[string]struct {
		net  Network
		want map[string]string
	}{
		"bridge with security groups": {plain, map[string]string{"NAME": "guests", "VN_MAD": "fw", "BRIDGE": "onebr0", "FILTER_IP_SPOOFING": "YES",
			"FILTER_MAC_SPOOFING": "YES", "SECURITY_GROUPS": "0", "GATEWAY": "10.0.3.1", "DNS": "10.0.3.2", "NETWORK_ADDRESS": "10.0.3.0",
			"NETWORK_MASK": "255.255.255.0", "AR/TYPE": "IP4", "AR/SIZE": "254", "AR/IP": "10.0.3.10"}},
		"802.1Q": {Network{Name: "v", Driver: "802.1Q", Link: "eno1", VLAN: 30, Size: 9}, map[string]string{"NAME": "v", "VN_MAD": "802.1Q", "PHYDEV": "eno1",
			"VLAN_ID": "30", "AR/TYPE": "ETHER", "AR/SIZE": "9"}},
		"vxlan, oned chooses": {Network{Name: "x", Driver: "vxlan", Link: "eno1"}, map[string]string{"NAME": "x", "VN_MAD": "vxlan", "PHYDEV": "eno1",
			"AUTOMATIC_VLAN_ID": "YES", "AR/TYPE": "ETHER", "AR/SIZE": "254"}},
		"Open vSwitch": {Network{Name: "o", Driver: "ovswitch", Bridge: "ovsbr0", VLAN: 7}, map[string]string{"NAME": "o", "VN_MAD": "ovswitch",
			"BRIDGE": "ovsbr0", "VLAN_ID": "7", "AR/TYPE": "ETHER", "AR/SIZE": "254"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := tc.net.Template()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, readAll(t, text)); diff != "" {
				t.Error(diff)
			}
		})
	}
	for say, bad := range map[string]Network{
		"no name": {Driver: "bridge", Bridge: "b"}, "is no driver": {Name: "n", Driver: "dummy"}, "needs the name of a bridge": {Name: "n", Driver: "fw"},
		"needs the name of a link": {Name: "n", Driver: "vxlan"}, "is no 802.1Q id": {Name: "n", Driver: "802.1Q", Link: "e", VLAN: 4095},
		"hint: 802.1Q has": {Name: "n", Driver: "fw", Bridge: "b", VLAN: 2}, "hint: fw does": {Name: "n", Driver: "bridge", Bridge: "b", FilterIP: true},
		"is not in": {Name: "n", Driver: "bridge", Bridge: "b", First: netip.MustParseAddr("10.0.0.1"), Mask: plain.Mask},
	} {
		if _, err := bad.Template(); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("error %v, want one that says %q", err, say)
		}
	}
}

func bridges() map[string]HostBridge {
	return map[string]HostBridge{
		"guests only": {Name: "br0", Port: "eno1"},
		"dhcp":        {Name: "br0", Port: "eno1", Dynamic: true},
		"static": {Name: "br0", Port: "eno1", Address: netip.MustParsePrefix("10.0.0.1/16"), Gateway: netip.MustParseAddr("10.0.0.254"),
			DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")}},
	}
}

func TestNetplan(t *testing.T) {
	for name, b := range bridges() {
		var got struct {
			Network struct {
				Ethernets map[string]map[string]any
				Bridges   map[string]map[string]any
			}
		}
		text := b.Netplan()
		if err := yaml.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		br := got.Network.Bridges["br0"]
		if fmt.Sprint(br["interfaces"]) != "[eno1]" || br["dhcp4"] != b.Dynamic || got.Network.Ethernets["eno1"]["dhcp4"] != false {
			t.Errorf("%s: %v", name, got)
		}
		if (br["routes"] != nil) != (name == "static") || (br["addresses"] != nil) != (name == "static") || strings.Contains(text, "gateway4") {
			t.Errorf("%s: %v", name, br)
		}
	}
}

func TestNetworkdFilesAreValid(t *testing.T) {
	for name, b := range bridges() {
		files := b.Networkd()
		network := files["11-br0.network"]
		if strings.Contains(network, "DHCP=ipv4") != b.Dynamic || strings.Contains(network, "Gateway=10.0.0.254") != (name == "static") {
			t.Errorf("%s: %s", name, network)
		}
		if !strings.Contains(files["10-br0-port.network"], "Bridge=br0\n") || len(files) != 4 {
			t.Errorf("%s: %v", name, files)
		}
	}
}

func TestIfupdown(t *testing.T) {
	want := map[string]string{"guests only": "iface br0 inet manual\n    bridge_ports eno1\n", "dhcp": "iface br0 inet dhcp\n    bridge_ports eno1\n",
		"static": "iface br0 inet static\n    address 10.0.0.1/16\n    gateway 10.0.0.254\n    dns-nameservers 192.0.2.53\n    bridge_ports eno1\n"}
	for name, b := range bridges() {
		if got := b.Ifupdown(); !strings.Contains(got, want[name]) {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}
