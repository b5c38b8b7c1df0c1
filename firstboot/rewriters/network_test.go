package rewriters_test

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

func nics(pairs ...string) []identity.NIC {
	var out []identity.NIC
	for _, p := range pairs {
		name, last, _ := strings.Cut(p, "=")
		out = append(out, identity.NIC{Name: name, MAC: "52:54:00:00:00:" + last})
	}
	return out
}

// a clone is a machine with some files that becomes somebody else.
type clone struct {
	files    map[string]string
	ovs      map[string]map[string]map[string]string
	from, to identity.Identity
	reboot   bool // this clone is itself already
}

func (c clone) plan(t *testing.T) (*plan.Plan, error) {
	t.Helper()
	root := t.TempDir()
	for name, data := range c.files {
		p := filepath.Join(root, name)
		check(t, os.MkdirAll(filepath.Dir(p), 0o755))
		check(t, os.WriteFile(p, []byte(data), 0o644))
	}
	h, err := host.Open(root, host.Options{})
	check(t, err)
	defer h.Close()
	m := rewritertest.NewMachine(h, &rewritertest.Fixture{OVS: c.ovs})
	list, err := rewriters.Select(nil)
	check(t, err)
	old := rewriters.Old{c.from, c.to}
	s := rewriters.NewScene(rewriters.Local, old, c.from, c.to, identity.Policy{}, m, rewriters.Seed("0123456789abcdef0123456789abcdef"))
	s.Rekey = !c.reboot
	return rewriters.Run(context.Background(), s, list)
}

var (
	golden = identity.Identity{Hostname: "h", Address: netip.MustParseAddr("10.0.0.1"), NICs: nics("ens3=01")}
	direct = identity.Identity{Hostname: "h", NICs: nics("ens3=0a")}
)

const (
	ifcfgENS3 = "/etc/sysconfig/network-scripts/ifcfg-ens3"
	profile   = "/etc/NetworkManager/system-connections/a.nmconnection"
)

func TestNamesThatNobodyCanKnowAreRefused(t *testing.T) {
	two := identity.Identity{Hostname: "h", NICs: nics("enp1s0=0a", "enp2s0=0b")}
	for name, file := range map[string]string{
		ifcfgENS3:                        "DEVICE=ens3\n",
		profile:                          "[connection]\ninterface-name=ens3\n",
		"/etc/systemd/network/a.network": "[Match]\nName=ens3\n",
		"/etc/systemd/network/b.network": "[Match]\nMACAddress=52:54:00:00:00:01\n",
	} {
		_, err := clone{files: map[string]string{name: file}, from: golden, to: two}.plan(t)
		if err == nil || !strings.Contains(err.Error(), "ens3 was a NIC of the golden machine") ||
			!strings.Contains(err.Error(), "this machine has enp1s0, enp2s0") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := (clone{files: map[string]string{"/etc/systemd/network/a.network": "[Match]\nName=en*\n"}, from: golden, to: two}).plan(t); err != nil || len(p.Changes) > 0 {
		t.Errorf("nobody names a NIC, and yet: %v, %v", p, err)
	}
	two.Interface = "enp2s0"
	p, err := clone{files: map[string]string{profile: "[connection]\ninterface-name=ens3\n"}, from: golden, to: two}.plan(t)
	if err != nil || len(p.Changes) != 1 || p.Changes[0].Want.Text != "enp2s0" {
		t.Errorf("the public NIC is named, and yet: %v, %v", p, err)
	}
}

func TestGoldenStaticAddressIsADanger(t *testing.T) {
	for name, file := range map[string]string{
		ifcfgENS3:                        "DEVICE=ens3\nIPADDR=10.0.0.1\n",
		profile:                          "[connection]\nid=a\n[ipv4]\naddress1=10.0.0.1/24,10.0.0.254\n",
		"/etc/systemd/network/a.network": "[Match]\nName=ens3\n[Address]\nAddress=10.0.0.1/24\n",
	} {
		c := clone{files: map[string]string{name: file}, from: golden, to: direct}
		p, err := c.plan(t)
		check(t, err)
		if !slices.ContainsFunc(p.Notes, func(n plan.Note) bool { return n.Bad && strings.Contains(n.Why, "10.0.0.1") }) {
			t.Errorf("%s: no danger: %+v", name, p.Notes)
		}
		c.reboot = true
		if p, err = c.plan(t); err != nil || len(p.Notes) > 0 {
			t.Errorf("%s: configured by the clone's administrator, and refused: %+v %v", name, p.Notes, err)
		}
		c.reboot, c.files[name] = false, strings.ReplaceAll(file, "10.0.0.1", "10.0.0.10")
		if p, err = c.plan(t); err != nil || len(p.Notes) > 0 {
			t.Errorf("%s: another address is a danger: %+v %v", name, p.Notes, err)
		}
	}
}

func TestLeasesGoWithTheOldSelfOnly(t *testing.T) {
	files := map[string]string{"/var/lib/dhcp/dhclient.ens3.leases": "lease {}", "/var/lib/dhcpcd/duid": "00:01", "/var/lib/dhcp/other": "x"}
	for _, c := range []struct {
		name   string
		from   identity.Identity
		reboot bool
		want   int
	}{
		{"a new clone", golden, false, 2},
		{"a reboot", direct, true, 0},
		{"another NIC in the same machine", golden, true, 2},
	} {
		p, err := clone{files: files, from: c.from, to: direct, reboot: c.reboot}.plan(t)
		if err != nil || len(p.Changes) != c.want {
			t.Errorf("%s: %d changes, want %d, %v", c.name, len(p.Changes), c.want, err)
		}
		for _, ch := range p.Changes {
			if !ch.Want.Absent || !ch.Secret {
				t.Errorf("%s: %+v", c.name, ch)
			}
		}
	}
}

func TestFileUnderTheNewNameIsNotOverwritten(t *testing.T) {
	moved := identity.Identity{Hostname: "h", NICs: nics("eth0=0a")}
	files := map[string]string{ifcfgENS3: "DEVICE=ens3\n", "/etc/sysconfig/network-scripts/ifcfg-eth0": "DEVICE=eth0\nONBOOT=no\n"}
	_, err := clone{files: files, from: golden, to: moved}.plan(t)
	if err == nil || !strings.Contains(err.Error(), "ifcfg-eth0 exists already") {
		t.Errorf("%v", err)
	}
	files["/etc/sysconfig/network-scripts/ifcfg-eth0"] = "DEVICE=eth0\n" // a run that was cut before it removed the old one
	p, err := clone{files: files, from: golden, to: moved}.plan(t)
	if err != nil || len(p.Changes) != 1 || !p.Changes[0].Want.Absent {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestUdevKeepsTheClonesOwnNames(t *testing.T) {
	rule := func(mac, name string) string {
		return `SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="` + mac + `", NAME="` + name + "\"\n"
	}
	p, err := clone{from: golden, to: direct, files: map[string]string{
		"/etc/udev/rules.d/70-persistent-net.rules": "# c\n" + rule("52:54:00:00:00:01", "eth0") + rule("52:54:00:00:00:0a", "ens3") + rule("52:54:00:00:00:ff", "usb0"),
		"/etc/systemd/network/10-own.link":          "[Match]\nMACAddress=52:54:00:00:00:0a\n[Link]\nName=ens3\n",
		"/etc/systemd/network/11-back.link":         "[Match]\nMACAddress=52:54:00:00:00:01\n[Link]\nName=ens3\n",
	}}.plan(t)
	check(t, err)
	got := map[string]string{}
	for _, c := range p.Changes {
		got[c.Where] = c.Want.String()
	}
	want := map[string]string{
		"/etc/udev/rules.d/70-persistent-net.rules": "# c\n" + rule("52:54:00:00:00:0a", "ens3") + rule("52:54:00:00:00:ff", "usb0"),
		"/etc/systemd/network/11-back.link":         "52:54:00:00:00:0a",
	}
	if len(got) != len(want) || got["/etc/udev/rules.d/70-persistent-net.rules"] != want["/etc/udev/rules.d/70-persistent-net.rules"] ||
		got["/etc/systemd/network/11-back.link"] != want["/etc/systemd/network/11-back.link"] {
		t.Errorf("%q", got)
	}
}

func TestHWADDRFollowsTheDeviceWhoeverHadIt(t *testing.T) {
	p, err := clone{from: golden, to: direct, files: map[string]string{ifcfgENS3: "DEVICE=ens3\nHWADDR=00:11:22:33:44:55\n"}}.plan(t)
	if err != nil || len(p.Changes) != 1 || p.Changes[0].Want.Text != "52:54:00:00:00:0a" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestForeignMACsStay(t *testing.T) {
	p, err := clone{from: golden, to: direct, files: map[string]string{
		ifcfgENS3: "DEVICE=ens3\nMACADDR=00:11:22:33:44:55\n",
		profile:   "[connection]\ntype=bridge\n[ethernet]\ncloned-mac-address=stable\n[bridge]\nmac-address=00:11:22:33:44:55\n[ipv4]\ndhcp-client-id=duid\n",
	}, ovs: map[string]map[string]map[string]string{"Bridge": {"br-ex": {"other_config:hwaddr": "00:11:22:33:44:55"}}, "Interface": {}}}.plan(t)
	if err != nil || len(p.Changes) > 0 || len(p.Notes) > 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestGoldenMACOfAnOVSInterfaceIsADanger(t *testing.T) {
	p, err := clone{from: golden, to: direct, ovs: map[string]map[string]map[string]string{"Bridge": {},
		"Interface": {"br-ex": {"mac": "52:54:00:00:00:01"}}}}.plan(t)
	if err != nil || len(p.Notes) != 1 || !p.Notes[0].Bad || !strings.Contains(p.Notes[0].Why, "ovs-vsctl clear interface br-ex mac") {
		t.Errorf("%+v, %v", p, err)
	}
}

// A chassis gets a name of its own where it meets others, in the database and in the file that it is written from at each start;
// an all-in-one keeps the one that its own OVN knows.
func TestChassisOfSomebodyElsesOVN(t *testing.T) {
	const file = "/etc/openvswitch/system-id.conf"
	plan := func(remote string, reboot bool) []plan.Change {
		t.Helper()
		to := direct
		to.Peers = map[string]netip.Addr{"controller": netip.MustParseAddr("10.0.0.9")}
		p, err := clone{from: golden, to: to, reboot: reboot, files: map[string]string{file: "golden-id\n"},
			ovs: map[string]map[string]map[string]string{"Bridge": {}, "Interface": {},
				"Open_vSwitch": {".": {"external_ids:system-id": "golden-id", "external_ids:ovn-remote": remote}}}}.plan(t)
		check(t, err)
		return p.Changes
	}
	for _, remote := range []string{"tcp:10.0.0.5:6642", "ssl:[2001:db8::5]:6642", "unix:/run/ovn/ovnsb_db.sock,tcp:10.0.0.5:6642", "tcp:controller:6642"} {
		got := plan(remote, false)
		if len(got) != 2 || got[0].Want.Text == "golden-id" || got[1].Where != file || strings.TrimSpace(got[1].Want.Text) != got[0].Want.Text {
			t.Errorf("%s: %+v", remote, got)
		}
		if got := plan(remote, true); len(got) > 0 {
			t.Errorf("%s: again on a reboot: %+v", remote, got)
		}
	}
	for _, remote := range []string{"", "unix:/run/ovn/ovnsb_db.sock", "tcp:127.0.0.1:6642", "tcp:10.0.0.1:6642", "tcp:h:6642", "tcp:unknown:6642", "tcp:10.0.0.5"} {
		if got := plan(remote, false); len(got) > 0 {
			t.Errorf("%q: %+v", remote, got)
		}
	}
}

func TestSeveralNICsAreNoted(t *testing.T) {
	from := identity.Identity{Hostname: "h", NICs: nics("ens192=01", "ens224=02")}
	p, err := clone{from: from, to: identity.Identity{Hostname: "h", NICs: nics("ens10=0b", "ens3=0a")}}.plan(t)
	check(t, err)
	var got []string
	for _, n := range p.Notes {
		got = append(got, n.What)
	}
	if want := []string{"NIC ens192 is called ens3 here", "NIC ens224 is called ens10 here"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestRadioKeysAreNotShown(t *testing.T) {
	moved := identity.Identity{Hostname: "h", NICs: nics("wlp3s0=0a")}
	p, err := clone{from: golden, to: moved, files: map[string]string{
		"/etc/netplan/a.yaml":         "network:\n  wifis:\n    ens3:\n      access-points:\n        lab:\n          password: s3cret\n",
		"/etc/network/interfaces":     "iface ens3 inet dhcp\n  wpa-psk s3cret\n",
		"/etc/network/interfaces.d/b": "auto ens3\n",
	}}.plan(t)
	check(t, err)
	for _, c := range p.Changes {
		if m := c.Masked(); strings.Contains(m.Was.Text+m.Want.Text, "s3cret") || m.Secret == strings.HasSuffix(c.Where, "/b") {
			t.Errorf("%+v", m)
		}
	}
	if len(p.Changes) != 3 {
		t.Errorf("%d changes", len(p.Changes))
	}
}

func TestNamesInFormatsThatRenameWholeFiles(t *testing.T) {
	two := identity.Identity{Hostname: "h", NICs: nics("enp1s0=0a", "enp2s0=0b")}
	for name, file := range map[string]string{
		"/etc/netplan/a.yaml":     "network:\n  ethernets:\n    ens3:\n      dhcp4: true\n",
		"/etc/network/interfaces": "iface ens3 inet dhcp\n",
		"/etc/dhcp/dhclient.conf": "interface \"ens3\" {\n}\n",
		"/etc/dhcpcd.conf":        "denyinterfaces lo ens3\n",
	} {
		if _, err := (clone{files: map[string]string{name: file}, from: golden, to: two}).plan(t); err == nil ||
			!strings.Contains(err.Error(), "ens3 was a NIC of the golden machine") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		other := strings.ReplaceAll(file, "ens3", "ens33") // a name of which the golden one is a prefix
		if p, err := (clone{files: map[string]string{name: other}, from: golden, to: two}).plan(t); err != nil ||
			slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return strings.Contains(c.Want.Text, "enp") }) {
			t.Errorf("%s with ens33: %v %v", name, p, err)
		}
	}
}

func TestStaticAddressesOfTheOtherFormats(t *testing.T) {
	for name, file := range map[string]string{
		"/etc/netplan/a.yaml":     "network:\n  ethernets:\n    ens3:\n      addresses: [10.0.0.1/24]\n",
		"/etc/network/interfaces": "iface ens3 inet static\n  address 10.0.0.1/24\n",
		"/etc/dhcpcd.conf":        "static ip_address=10.0.0.1/24\n",
	} {
		p, err := clone{files: map[string]string{name: file}, from: golden, to: direct}.plan(t)
		check(t, err)
		if len(p.Notes) != 1 || !p.Notes[0].Bad {
			t.Errorf("%s: %+v", name, p.Notes)
		}
	}
}
