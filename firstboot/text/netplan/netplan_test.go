package netplan_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/netplan"
	"goldsmith/firstboot/text/texttest"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestGet(t *testing.T) {
	in := []byte(sample(t, "01-br-ex.yaml"))
	for _, tc := range []struct{ name, key, want string }{
		{"plain", "version", "2"},
		{"in a flow mapping", "ethernets/ens3/match/macaddress", "52:54:00:aa:bb:01"},
		{"set-name", "ethernets/ens3/set-name", "ens3"},
		{"single quotes", "bridges/br-ex/macaddress", "52:54:00:aa:bb:01"},
		{"not interpreted", "ethernets/ens3/dhcp4", "no"},
		{"item of a flow sequence", "bonds/bond0/interfaces#2", "ens4"},
		{"item of a sequence at its key's indent", "bridges/br-ex/interfaces#1", "ens3"},
		{"item of an indented sequence", "bridges/br-ex/addresses#1", "192.0.2.10/24"},
		{"address with options", "bridges/br-ex/addresses#2", "2001:db8::10/64"},
		{"dhcp-identifier", "bridges/br-ex/dhcp-identifier", "mac"},
		{"mapping behind a dash", "vlans/ens3.100/routes#1/via", "192.0.2.1"},
		{"mapping below a dash", "vlans/ens3.100/routes#2/to", "198.51.100.0/24"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok, err := netplan.Codec.Get(in, tc.key); err != nil || !ok || got != tc.want {
				t.Errorf("%s = %q, %v, %v; want %q", tc.key, got, ok, err, tc.want)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	in := []byte(sample(t, "01-br-ex.yaml"))
	for _, key := range []string{"ethernets", "ethernets/ens3", "ethernets/ens4/macaddress", "ethernets/ens3/macaddress", "bridges/br-ex/addresses",
		"bridges/br-ex/addresses#3", "network/version", "bridges/br-ex/openvswitch"} {
		if got, ok, err := netplan.Codec.Get(in, key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want absent", key, got, ok, err)
		}
	}
	for _, key := range []string{"", "/", "ethernets//x", "#1", "a/#1"} {
		if _, _, err := netplan.Codec.Get(in, key); err == nil {
			t.Errorf("%q is taken for a key", key)
		}
	}
}

func TestSet(t *testing.T) {
	eth := func(body string) string { return "network:\n  ethernets:\n" + body }
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"plain, comment and spacing stay", eth("    e:\n      macaddress:  52:54:00:00:00:0a  # c\n"), "ethernets/e/macaddress", "52:54:00:00:00:0b",
			eth("    e:\n      macaddress:  52:54:00:00:00:0b  # c\n")},
		{"digits only would be a number", eth("    e:\n      macaddress: 52:54:00:00:00:0a\n"), "ethernets/e/macaddress", "52:54:00:00:00:01",
			eth("    e:\n      macaddress: \"52:54:00:00:00:01\"\n")},
		{"double quotes stay", eth("    e: {macaddress: \"a\"}\n"), "ethernets/e/macaddress", `b"\`, eth("    e: {macaddress: \"b\\\"\\\\\"}\n")},
		{"single quotes stay", eth("    e: {macaddress: 'a'}\n"), "ethernets/e/macaddress", "it's", eth("    e: {macaddress: 'it''s'}\n")},
		{"quotes where they are needed", eth("    e:\n      set-name: a\n"), "ethernets/e/set-name", "[b]", eth("    e:\n      set-name: \"[b]\"\n")},
		{"the interface of that name only", "network:\n  ethernets:\n    e: {mtu: 1}\n  bridges:\n    e: {mtu: 1}\n", "bridges/e/mtu", "2",
			"network:\n  ethernets:\n    e: {mtu: 1}\n  bridges:\n    e: {mtu: 2}\n"},
		{"CRLF", "network:\r\n  ethernets:\r\n    e:\r\n      mtu: 1\r\n", "ethernets/e/set-name", "f", "network:\r\n  ethernets:\r\n    e:\r\n      mtu: 1\r\n      set-name: f\r\n"},
		{"added to a mapping", eth("    e:\n      match:\n        name: e\n    # next\n    f: {}\n"), "ethernets/e/macaddress", "a",
			eth("    e:\n      match:\n        name: e\n      macaddress: a\n    # next\n    f: {}\n")},
		{"added to a flow mapping", eth("    e: {mtu: 1 }\n"), "ethernets/e/macaddress", "a:b", eth("    e: {mtu: 1, macaddress: a:b }\n")},
		{"added to an empty one", eth("    e: {}\n"), "ethernets/e/macaddress", "a", eth("    e: {macaddress: a}\n")},
		{"added at the top", "network:\n  version: 2", "renderer", "networkd", "network:\n  version: 2\n  renderer: networkd"},
		{"put behind a bare key", eth("    e:\n      macaddress: # c\n"), "ethernets/e/macaddress", "a", eth("    e:\n      macaddress: a # c\n")},
		{"address with options", eth("    e: {addresses: [{\"a/1\": {label: b}}]}\n"), "ethernets/e/addresses#1", "b/2",
			eth("    e: {addresses: [{\"b/2\": {label: b}}]}\n")},
		{"next item", eth("    e:\n      addresses:\n      - a\n      mtu: 1\n"), "ethernets/e/addresses#2", "b", eth("    e:\n      addresses:\n      - a\n      - b\n      mtu: 1\n")},
		{"next item of a flow sequence", eth("    e: {addresses: [a]}\n"), "ethernets/e/addresses#2", "b", eth("    e: {addresses: [a, b]}\n")},
		{"first item", eth("    e: {addresses: [ ]}\n"), "ethernets/e/addresses#1", "b", eth("    e: {addresses: [b ]}\n")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := netplan.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	in := []byte("network:\n  ethernets:\n    e:\n      addresses: [a]\n      dhcp4: true\n    f:\n")
	for _, tc := range []struct {
		name, key, value string
		noKey            bool
	}{
		{"no such interface", "ethernets/g/macaddress", "a", true},
		{"no such mapping", "ethernets/e/match/macaddress", "a", true},
		{"below a scalar", "ethernets/e/dhcp4/x", "a", true},
		{"a mapping", "ethernets/e", "a", true},
		{"a sequence", "ethernets/e/addresses", "a", true},
		{"an item too far", "ethernets/e/addresses#3", "a", true},
		{"an item of a mapping", "ethernets#1", "a", true},
		{"no name", "ethernets/e/a b", "a", true},
		{"not UTF-8", "ethernets/e/dhcp4", "\xff", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := netplan.Codec.Set(in, tc.key, tc.value)
			if err == nil || errors.Is(err, text.ErrNoKey) != tc.noKey {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"tab", "network:\n\tversion: 2\n", "line 2: a tab"},
		{"anchor", "network:\n  a: &x\n    b: 1\n", "line 2: not a value of the plain kind"},
		{"alias", "network:\n  a: *x\n", "line 2: not a value of the plain kind"},
		{"tag", "network:\n  a: !!str 1\n", "line 2: not a value of the plain kind"},
		{"block scalar", "network:\n  a: |\n    b\n", "line 2: not a value of the plain kind"},
		{"merge", "network:\n  <<: {a: b}\n", "line 2: not of the form"},
		{"complex key", "network:\n  ? a\n  : b\n", "line 2: not a value of the plain kind"},
		{"second document", "network:\n  a: b\n---\nnetwork:\n", "line 3: a second document"},
		{"end of a document", "network:\n  a: b\n...\n", "line 3: a second document"},
		{"directive", "%YAML 1.1\n---\nnetwork:\n", "line 1: a YAML directive"},
		{"scalar over two lines", "network:\n  a: b\n    c\n", "line 3: indented deeper than"},
		{"quotes over two lines", "network:\n  a: \"b\n    c\"\n", "line 2: a quote that is not closed"},
		{"doubled key", "network:\n  a: 1\n  a: 2\n", "line 3: a key that the mapping has already"},
		{"doubled key in a flow mapping", "network: {a: 1, a: 2}\n", "line 1: a key that the mapping has already"},
		{"indent of nothing", "network:\n    a:\n      b: 1\n   c: 2\n", "line 4: indented deeper than"},
		{"indent of nothing above the root", "  network:\n    a: 1\nb: 2\n", "line 3: indented like nothing"},
		{"sequence in a mapping", "network:\n  a: 1\n  - b\n", "line 3: a sequence and a mapping"},
		{"no blank behind the colon", "network:\n  a:b\n", "line 2: not of the form"},
		{"colon in a value", "network:\n  a: b: c\n", "line 2: a colon behind a value"},
		{"text behind a value", "network:\n  a: 'b' c\n", "line 2: text behind a value"},
		{"flow never closed", "network:\n  a: [b,\n   c\n", "a flow collection that is never closed"},
		{"flow without indent", "network:\n  a: [b,\n  c]\n", "a flow collection that goes on without"},
		{"text behind a flow", "network:\n  a: [b] c\n", "line 2: text behind a flow collection"},
		{"pair in a flow sequence", "network:\n  a: [b: c]\n", "line 2: a colon behind a value"},
		{"key alone in a flow mapping", "network:\n  a: {b, c: d}\n", "line 2: not of the form"},
		{"unknown escape", "network:\n  a: \"\\q\"\n", "line 2: an escape"},
		{"a sequence", "- a\n", "not a mapping"},
		{"not UTF-8", "network:\n  a: \xff\n", "line 2: not UTF-8"},
		{"bare carriage return", "network:\r  a: 1\n", "line 1: a tab or a character"},
		{"nested too deeply", "network: " + strings.Repeat("[", 99) + strings.Repeat("]", 99), "line 1: nested too deeply"},
		{"endless line", "network: " + strings.Repeat("a", 2000), "line 1: longer than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := netplan.Codec.List([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestInterfaces(t *testing.T) {
	got, err := netplan.Interfaces([]byte(sample(t, "01-br-ex.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	want := []netplan.Interface{
		{Kind: "ethernets", Name: "ens3", Key: "ethernets/ens3", Line: 6},
		{Kind: "ethernets", Name: "ens4", Key: "ethernets/ens4", Line: 10},
		{Kind: "bonds", Name: "bond0", Key: "bonds/bond0", Line: 12},
		{Kind: "bridges", Name: "br-ex", Key: "bridges/br-ex", Line: 19},
		{Kind: "vlans", Name: "ens3.100", Key: "vlans/ens3.100", Line: 35},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := netplan.Interfaces([]byte("# nothing\n")); err != nil || len(got) > 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

func TestRename(t *testing.T) {
	in := sample(t, "01-br-ex.yaml")
	got, err := netplan.Rename([]byte(in), "ens3", "enp1s0")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("ens3.100", "ens3.100", "ens3", "enp1s0").Replace(in)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	back, err := netplan.Rename(got, "enp1s0", "ens3")
	if err != nil || string(back) != in {
		t.Errorf("renamed back: %v\n%s", err, back)
	}
}

func TestRenameLeavesOtherMeaningsAlone(t *testing.T) {
	in := "network:\n  renderer: e\n  ethernets:\n    \"e\":\n      match: {name: e, driver: e}\n      nameservers: {search: [e]}\n  bridges:\n    b: {interfaces: ['e', ee], e: {}}\n"
	want := "network:\n  renderer: e\n  ethernets:\n    \"f\":\n      match: {name: f, driver: e}\n      nameservers: {search: [e]}\n  bridges:\n    b: {interfaces: ['f', ee], e: {}}\n"
	got, err := netplan.Rename([]byte(in), "e", "f")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestRenameRefuses(t *testing.T) {
	in := sample(t, "01-br-ex.yaml")
	for _, to := range []string{"", "ens4", "br-ex", "a b", "a/b", "sixteen-letters-", "e*"} {
		if got, err := netplan.Rename([]byte(in), "ens3", to); err == nil {
			t.Errorf("renamed to %q:\n%s", to, got)
		}
	}
	if got, err := netplan.Rename([]byte(in), "eth9", "eth8"); err != nil || string(got) != in {
		t.Errorf("a name that is not there: %v", err)
	}
}

func samples(t testing.TB) []string {
	return []string{"", "network: {}", "network:\n  version: 2", sample(t, "50-cloud-init.yaml"), sample(t, "01-br-ex.yaml"),
		strings.ReplaceAll(sample(t, "01-br-ex.yaml"), "\n", "\r\n")}
}

func TestLaws(t *testing.T) { texttest.Laws(t, netplan.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, netplan.Codec, samples(f)...) }
