package interfaces_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/interfaces"
	"goldsmith/firstboot/text/texttest"
)

// sample is an OVS bridge that owns the NIC, as openvswitch-switch's README.Debian writes it, and a bit of everything else.
const sample = `# The loopback network interface
auto lo
iface lo inet loopback

auto br-ex
allow-ovs br-ex
iface br-ex inet dhcp
	ovs_type OVSBridge
	ovs_ports ens3 ens3.100
	hwaddress ether 00:50:56:8A:01:02
	# up is heeded twice
	up ip link set dev ens3 promisc on; echo ens3-x >/run/ens3
	up ip addr add 10.0.0.1/24 \
	   dev br-ex

allow-br-ex ens3
iface ens3 inet manual
    ovs_bridge br-ex
    ovs_type OVSPort
iface br-ex inet6 auto
  hwaddress 00:50:56:8a:01:02
iface br-ex inet static
  address 10.0.0.2/24

iface ethernet inet static
  mtu 1500
iface eth1 inet static inherits ethernet
  address 192.168.1.2
mapping eth* wlan*
  script /usr/local/sbin/map
  map home eth-home
source-directory interfaces.d
auto /eth*=eth`

func TestGet(t *testing.T) {
	for key, want := range map[string]string{
		"auto":                          "lo",
		"auto#2":                        "br-ex",
		"auto#3":                        "/eth*=eth",
		"allow-ovs":                     "br-ex",
		"allow-br-ex":                   "ens3",
		"iface br-ex inet method":       "dhcp",
		"iface br-ex inet ovs_ports":    "ens3 ens3.100",
		"iface br-ex inet hwaddress":    "00:50:56:8A:01:02",
		"iface br-ex inet6 hwaddress":   "00:50:56:8a:01:02",
		"iface br-ex inet up":           "ip link set dev ens3 promisc on; echo ens3-x >/run/ens3",
		"iface br-ex inet up#2":         "ip addr add 10.0.0.1/24 \t   dev br-ex",
		"iface br-ex inet#2 address":    "10.0.0.2/24",
		"iface br-ex inet#1 ovs_type#1": "OVSBridge",
		"iface eth1 inet method":        "static inherits ethernet",
		"iface ethernet inet mtu":       "1500",
		"iface ethernet inet method":    "static",
		"mapping eth* script":           "/usr/local/sbin/map",
		"mapping eth* map":              "home eth-home",
		"source-directory":              "interfaces.d",
	} {
		if got, ok, err := interfaces.Codec.Get([]byte(sample), key); got != want || !ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want %q", key, got, ok, err, want)
		}
	}
	for _, key := range []string{"auto#4", "allow-hotplug", "iface br-ex inet address", "iface br-ex inet up#3", "iface br inet up", "mapping wlan* script"} {
		if got, ok, err := interfaces.Codec.Get([]byte(sample), key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want nothing", key, got, ok, err)
		}
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"ether stays", "iface a inet dhcp\n\thwaddress  ether\t00:11:22:33:44:55\n", "iface a inet hwaddress", "52:54:00:12:34:56",
			"iface a inet dhcp\n\thwaddress  ether\t52:54:00:12:34:56\n"},
		{"no ether is added", "iface a inet dhcp\n hwaddress random\n", "iface a inet hwaddress", "52:54:00:12:34:56",
			"iface a inet dhcp\n hwaddress 52:54:00:12:34:56\n"},
		{"method", "iface a inet static\n address 1.2.3.4/24\n", "iface a inet method", "dhcp", "iface a inet dhcp\n address 1.2.3.4/24\n"},
		{"the second stanza", "iface a inet dhcp\n mtu 1\niface a inet dhcp\n mtu 1\n", "iface a inet#2 mtu", "9",
			"iface a inet dhcp\n mtu 1\niface a inet dhcp\n mtu 9\n"},
		{"the second option", "iface a inet dhcp\n up x\n up x\n", "iface a inet up#2", "y z", "iface a inet dhcp\n up x\n up y z\n"},
		{"continued", "iface a inet dhcp\n up x \\\n  y\n mtu 1\n", "iface a inet up", "z", "iface a inet dhcp\n up z\n mtu 1\n"},
		{"a list", "auto a b\r\n", "auto", "a c", "auto a c\r\n"},
		{"an empty list", "auto\nauto b\n", "auto", "a", "auto a\nauto b\n"},
		{"new option, indented as its neighbour", "iface a inet dhcp\n\tup x \\\n\ty\n\n# c\nauto a\n", "iface a inet mtu", "1500",
			"iface a inet dhcp\n\tup x \\\n\ty\n\tmtu 1500\n\n# c\nauto a\n"},
		{"new option in an empty stanza", "iface a inet dhcp\nauto a\n", "iface a inet mtu", "1500", "iface a inet dhcp\n    mtu 1500\nauto a\n"},
		{"new option, unterminated", "iface a inet dhcp", "iface a inet mtu", "1500", "iface a inet dhcp\n    mtu 1500"},
		{"one more of an option", "iface a inet dhcp\n up x\n", "iface a inet up#2", "y", "iface a inet dhcp\n up x\n up y\n"},
		{"new line", "iface a inet dhcp\n", "allow-hotplug", "a", "iface a inet dhcp\nallow-hotplug a\n"},
		{"new mapping option", "mapping e*\n script /x\n", "mapping e* map", "a b", "mapping e*\n script /x\n map a b\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := interfaces.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	for _, key := range []string{"iface b inet mtu", "iface a inet6 mtu", "iface a inet up#2", "auto#2", "mapping x y"} {
		if _, err := interfaces.Codec.Set([]byte("iface a inet dhcp\n"), key, "1"); !errors.Is(err, text.ErrNoKey) {
			t.Errorf("%s: %v, want %v", key, err, text.ErrNoKey)
		}
	}
}

func TestDelete(t *testing.T) {
	in := "iface a inet dhcp\n hwaddress 00:11:22:33:44:55\n up x \\\n y\n mtu 1\n"
	for key, want := range map[string]string{
		"iface a inet hwaddress": "iface a inet dhcp\n up x \\\n y\n mtu 1\n",
		"iface a inet up":        "iface a inet dhcp\n hwaddress 00:11:22:33:44:55\n mtu 1\n",
		"auto":                   in,
	} {
		if got, err := interfaces.Codec.Delete([]byte(in), key); string(got) != want || err != nil {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
	if got, err := interfaces.Codec.Delete([]byte(in), "iface a inet method"); err == nil {
		t.Errorf("a method was deleted: %q", got)
	}
	if got, err := interfaces.Codec.Delete([]byte("auto a\nauto b\n"), "auto"); err == nil {
		t.Errorf("what follows was renumbered: %q", got)
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"option outside a stanza", "address 1\n", "line 1: an option outside"},
		{"option behind auto", "iface a inet dhcp\nauto a\n mtu 1\n", "line 3: an option outside"},
		{"no method", "iface a inet\n", "line 1: an interface without"},
		{"option without a value", "iface a inet dhcp\n mtu\n", "line 2: an option without a value"},
		{"mapping without a pattern", "mapping\n", "line 1: a mapping"},
		{"number sign in an option", "iface a inet dhcp\n mtu#2 1\n", "line 2: a number sign"},
		{"number sign in a family", "iface a inet#2 dhcp\n", "line 1: a number sign"},
		{"continued to the end", "auto a \\\n", "line 1: it is continued"},
		{"a template", "template ethernet inet static\n", "line 1: a template"},
		{"a mapping is no interface", "mapping e*\n mtu 1\n", "line 2: a mapping has only"},
		{"nothing before the backslash", "iface a inet dhcp\n \\\n mtu 1\n", "line 2: it begins with a backslash"},
		{"two backslashes", "iface a inet dhcp\n up x\\\\\n\n mtu 1\n", "line 2: two backslashes"},
		{"continued in CRLF", "auto a \\\r\n b\r\n", "line 1: a backslash"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := interfaces.Codec.Set([]byte(tc.in), "auto", "x"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	for _, v := range []string{"", " x", "x ", "a\nb", `a\`, "ether 00:11:22:33:44:55"} {
		if out, err := interfaces.Codec.Set([]byte("iface a inet dhcp\n hwaddress random\n"), "iface a inet hwaddress", v); err == nil {
			t.Errorf("value %q became %q", v, out)
		}
	}
	for _, key := range []string{"", "iface", "iface a inet", "iface a inet x y", "iface  a inet x", "iface a inet up#0", "iface#2 a inet x", "auto a",
		"hwaddress", "allow-", "mapping x", "iface a inet #2", "iface a\t inet x"} {
		if _, err := interfaces.Codec.Set(nil, key, "1"); err == nil || errors.Is(err, text.ErrNoKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestNames(t *testing.T) {
	got, err := interfaces.Names([]byte(sample))
	if diff := cmp.Diff([]string{"lo", "br-ex", "ens3", "ethernet", "eth1"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestRename(t *testing.T) {
	got, err := interfaces.Rename([]byte(sample), "ens3", "enp1s0")
	want := strings.NewReplacer(
		"ovs_ports ens3 ens3.100", "ovs_ports enp1s0 enp1s0.100",
		"dev ens3 promisc", "dev enp1s0 promisc", "/run/ens3", "/run/enp1s0",
		"allow-br-ex ens3", "allow-br-ex enp1s0", "iface ens3 inet", "iface enp1s0 inet",
	).Replace(sample)
	if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if again, err := interfaces.Rename(got, "ens3", "enp1s0"); string(again) != want || err != nil {
		t.Errorf("twice is not once: %v\n%s", err, again)
	}
	for _, tc := range []struct{ name, in, want string }{
		{"allow class of a bridge", "allow-a x\nallow-ab a\n", "allow-b x\nallow-ab b\n"},
		{"alias and VLAN", "auto a:0 a.7 a.x aa a-1\niface a:0 inet dhcp\n", "auto b:0 b.7 a.x aa a-1\niface b:0 inet dhcp\n"},
		{"pattern with a logical name", "auto a=x x=a\nrename a=c d=a\n", "auto b=x x=b\nrename b=c d=b\n"},
		{"inherits", "iface x inet a inherits a\n", "iface x inet a inherits b\n"},
		{"options of bridges, bonds and VLANs", "iface x inet dhcp\n bridge_ports a c\n bond-slaves a\n vlan-raw-device a\n bridge-pathcost a 100\n",
			"iface x inet dhcp\n bridge_ports b c\n bond-slaves b\n vlan-raw-device b\n bridge-pathcost b 100\n"},
		{"the peer of a patch port", "iface x inet manual\n ovs_patch_peer a\n", "iface x inet manual\n ovs_patch_peer b\n"},
		{"other options are not about interfaces", "iface x inet dhcp\n hostname a\n address a\n", "iface x inet dhcp\n hostname a\n address a\n"},
		{"sources and mappings stay", "source a\nmapping a\n script a\n", "source a\nmapping a\n script a\n"},
		{"comments stay", "# a\nauto a \\\n a\n", "# a\nauto b \\\n b\n"},
		{"a name broken by a continuation", "auto x\\\ny aa \\\n a\n", "auto x\\\ny aa \\\n b\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := interfaces.Rename([]byte(tc.in), "a", "b")
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	if got, err := interfaces.Rename([]byte("auto e\\\nth0\n"), "eth0", "b"); string(got) != "auto b\n" || err != nil {
		t.Errorf("a broken name: %q, %v", got, err)
	}
	for _, bad := range [][3]string{
		{"auto a\niface b inet dhcp\n", "a", "b"}, {"auto a\n", "a", ""}, {"auto a\n", "a", "b c"}, {"auto a\n", "a", "b.1"},
		{"auto a\n", "", "b"}, {"auto a\n", "a", "longer-than-fifteen"}, {"x\n", "a", "b"},
	} {
		if got, err := interfaces.Rename([]byte(bad[0]), bad[1], bad[2]); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func samples() []string {
	return []string{sample, sample + "\n", "auto lo\r\niface lo inet loopback\r\n  mtu 1\r\n", "", "auto\n"}
}

func TestLaws(t *testing.T) { texttest.Laws(t, interfaces.Codec, samples()...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, interfaces.Codec, samples()...) }

// After a Rename no interface has the old name, and renaming back gives the file back where the new name was not in it.
func FuzzRename(f *testing.F) {
	for _, s := range samples() {
		f.Add(s, "ens3", "enp1s0")
		f.Add(s, "br-ex", "br0")
	}
	f.Fuzz(func(t *testing.T, data, old, to string) {
		out, err := interfaces.Rename([]byte(data), old, to)
		if err != nil || old == to {
			return
		}
		names, err := interfaces.Names(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", data, out, err)
		}
		for _, n := range names {
			if n == old {
				t.Errorf("%q became %q, which still has %s", data, out, old)
			}
		}
		if strings.Contains(data, to) || strings.Contains(data, "\\\n") {
			return
		}
		if back, err := interfaces.Rename(out, to, old); string(back) != data || err != nil {
			t.Errorf("%q became %q and back %q, %v", data, out, back, err)
		}
	})
}

func BenchmarkSetIn10000Lines(b *testing.B) {
	data := []byte(strings.Repeat("iface a inet dhcp\n  mtu 1500\n# c\n\n", 2500) + "iface z inet dhcp\n  hwaddress random\n")
	for b.Loop() {
		if _, err := interfaces.Codec.Set(data, "iface z inet hwaddress", "52:54:00:12:34:56"); err != nil {
			b.Fatal(err)
		}
	}
}
