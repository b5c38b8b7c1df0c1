package netplan_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"goldsmith/firstboot/text/netplan"
)

// readByYAML returns all that a full YAML reader finds: scalars by their path from the root, and what kind of node is where.
func readByYAML(t testing.TB, data []byte) map[string]string {
	t.Helper()
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatalf("a YAML reader refuses it: %v\n%q", err, data)
	}
	all := map[string]string{}
	for _, n := range doc.Content {
		flatten(all, "", n)
	}
	return all
}

// unlisted begins the path of what has no key in this package.
const unlisted = "(unlisted) "

func flatten(all map[string]string, path string, n *yaml.Node) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Value == "" && n.Style == 0 {
			all[path] = "null"
			return
		}
		all[path] = "=" + n.Value
	case yaml.MappingNode:
		all[path] = "mapping"
		for i := 0; i < len(n.Content); i += 2 {
			flatten(all, below(path, n.Content[i].Value), n.Content[i+1])
		}
	case yaml.SequenceNode:
		all[path] = "sequence"
		for i, item := range n.Content {
			inner := path + "#" + strconv.Itoa(i+1)
			if path == "/network" {
				inner = unlisted + inner
			}
			if strings.HasSuffix(path, "/addresses") && strings.Count(path, "/") > 2 && item.Kind == yaml.MappingNode && len(item.Content) == 2 {
				all[inner] = "=" + item.Content[0].Value
				flatten(all, unlisted+inner, item.Content[1])
				continue
			}
			flatten(all, inner, item)
		}
	default:
		all[path] = "something else"
	}
}

func below(path, key string) string {
	if key == "" || strings.ContainsAny(key, "/#\r\n\t") {
		path = unlisted + path
	}
	return path + "/" + key
}

// readByUs returns the listed scalars in the same form.
func readByUs(t testing.TB, data []byte) map[string]string {
	t.Helper()
	entries, err := netplan.Codec.List(data)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		all["/network/"+e.Key] = "=" + e.Value
	}
	return all
}

// scalarsOf keeps what this package would list.
func scalarsOf(all map[string]string) map[string]string {
	some := map[string]string{}
	for path, value := range all {
		if strings.HasPrefix(value, "=") && strings.HasPrefix(path, "/network/") {
			some[path] = value
		}
	}
	return some
}

func TestYAMLReadsWhatWeRead(t *testing.T) {
	for _, s := range samples(t) {
		if diff := cmp.Diff(scalarsOf(readByYAML(t, []byte(s))), readByUs(t, []byte(s))); diff != "" {
			t.Errorf("a YAML reader (-), we (+):\n%s", diff)
		}
	}
}

// A Set changes exactly that node for a reader who knows all of YAML.
func TestSetChangesThatNodeOnly(t *testing.T) {
	values := []string{"52:54:00:00:00:01", "52:54:00:aa:bb:02", "", "null", "~", "two words", "a: b", "a # b", "[x", "{x}", "- x", "'", `"`, `\`, "\n", "\t", "é", "\u2028",
		"*x", "&x", "!x", "|", ">", "%x", "@x", "`x", "true", "0x10", "2001:db8::1/64", "::", "fe80:", " x ", "#x", "?", "? x", ":x", ",", "---"}
	for _, s := range samples(t) {
		before := readByYAML(t, []byte(s))
		keys := map[string]bool{"version": true, "ethernets/ens4/macaddress": true, "bonds/bond0/macaddress": true, "bonds/bond0/interfaces#3": true}
		for path := range readByUs(t, []byte(s)) {
			keys[strings.TrimPrefix(path, "/network/")] = true
		}
		for key := range keys {
			for _, value := range values {
				out, err := netplan.Codec.Set([]byte(s), key, value)
				if err != nil {
					continue // a key that this sample has no place for
				}
				want := map[string]string{}
				for path, was := range before {
					want[path] = was
				}
				want["/network/"+key] = "=" + value
				if diff := cmp.Diff(want, readByYAML(t, out)); diff != "" {
					t.Errorf("%s = %q:\n%s\n%s", key, value, diff, out)
				}
			}
		}
	}
}

// FuzzYAML: whatever we accept, a YAML reader accepts and reads alike, before and after a Set.
func FuzzYAML(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s, "ethernets/ens3/macaddress", "52:54:00:00:00:01")
		f.Add(s, "bonds/bond0/interfaces#3", "a: [b]")
	}
	f.Add("network:\n  a:\n  - - b\n    - c: 'd'\n      e: {f: [g, \"h\"]}\n  -\n  -   # x\n", "a#2", "x")
	f.Fuzz(func(t *testing.T, data, key, value string) {
		if _, err := netplan.Codec.List([]byte(data)); err != nil {
			return
		}
		all := readByYAML(t, []byte(data))
		if diff := cmp.Diff(scalarsOf(all), readByUs(t, []byte(data))); diff != "" {
			t.Errorf("a YAML reader (-), we (+):\n%s\n%q", diff, data)
		}
		out, err := netplan.Codec.Set([]byte(data), key, value)
		if err != nil {
			return
		}
		all["/network/"+key] = "=" + value
		if diff := cmp.Diff(all, readByYAML(t, out)); diff != "" {
			t.Errorf("%s = %q:\n%s\nfrom %q\nto   %q", key, value, diff, data, out)
		}
	})
}
