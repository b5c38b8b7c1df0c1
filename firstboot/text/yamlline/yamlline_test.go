package yamlline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/texttest"
)

func stock(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.conf")
	if err != nil || len(paths) < 13 {
		t.Fatalf("found %d stock files, %v", len(paths), err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(p)] = b
	}
	return out
}

func TestStockFilesHoldTheAddressKeys(t *testing.T) {
	want := map[string]map[string]string{
		"sunstone": {"one_xmlrpc": "http://localhost:2633/RPC2", "host": "0.0.0.0", "port": "9869"},
		"onegate":  {"one_xmlrpc": "http://localhost:2633/RPC2", "host": "127.0.0.1", "oneflow_server": "http://localhost:2474", "permissions/vm/show": "true"},
		"oneflow":  {"one_xmlrpc": "http://localhost:2633/RPC2", "host": "127.0.0.1"},
		"fireedge": {"one_xmlrpc": "http://localhost:2633/RPC2", "host": "0.0.0.0", "default_zone/endpoint": "http://localhost:2633/RPC2", "guacd/host": "localhost"},
	}
	for name, data := range stock(t) {
		service := strings.Split(name, "-")[1]
		for key, v := range want[service] {
			if got, ok, err := get(data, key); got != v || !ok || err != nil {
				t.Errorf("%s: %s is %q, %v, %v, want %q", name, key, got, ok, err, v)
			}
		}
	}
}

func TestCodecLawsOnStockFiles(t *testing.T) {
	for name, data := range stock(t) {
		entries, err := list(data)
		if err != nil || len(entries) < 8 {
			t.Fatalf("%s: %d entries, %v", name, len(entries), err)
		}
		for _, e := range entries {
			if got, ok, err := get(data, e.Key); got != e.Value || !ok || err != nil {
				t.Errorf("%s: get %s = %q, %v, %v, want %q", name, e.Key, got, ok, err, e.Value)
			}
			if same, err := set(data, e.Key, e.Value); err != nil || string(same) != string(data) {
				t.Errorf("%s: setting %s to itself: %v", name, e.Key, err)
			}
			out, err := set(data, e.Key, "http://192.0.2.7:2633/RPC2")
			if err != nil {
				t.Fatalf("%s: set %s: %v", name, e.Key, err)
			}
			after, err := list(out)
			if err != nil || len(after) != len(entries) {
				t.Fatalf("%s: %d entries after setting %s, %v", name, len(after), e.Key, err)
			}
			for i := range after {
				if (after[i] != entries[i]) != (after[i].Key == e.Key) {
					t.Errorf("%s: setting %s changed %s to %q", name, e.Key, after[i].Key, after[i].Value)
				}
			}
		}
	}
}

func TestSet(t *testing.T) {
	for name, tc := range map[string]struct{ in, key, value, want string }{
		"symbol key, plain value":     {":host: 127.0.0.1 # c\n:port: 5030\n", "host", "192.0.2.7", ":host: 192.0.2.7 # c\n:port: 5030\n"},
		"key with colons":             {":server:\n  :bind: x\n", ":server/:bind", "y", ":server:\n  :bind: y\n"},
		"single quotes stay":          {"host: 'a'\n", "host", "it's", "host: 'it''s'\n"},
		"double quotes stay":          {"host: \"a\"\n", "host", `b"\`, "host: \"b\\\"\\\\\"\n"},
		"plain gets quotes if needed": {"a: x\n", "a", "- y", "a: '- y'\n"},
		"nothing gets a value":        {":cert:\n:key: x\n", "cert", "/etc/c.pem", ":cert: /etc/c.pem\n:key: x\n"},
		"nothing with a comment":      {":cert: # none\n", "cert", "/c", ":cert: /c # none\n"},
		"nested, not its namesake":    {"host: a\nguacd:\n  host: b\n", "guacd/host", "c", "host: a\nguacd:\n  host: c\n"},
		"the last of two counts":      {"a: 1\na: 2\n", "a", "3", "a: 1\na: 3\n"},
		"added below its comment":     {":a: 1\n#:b: 2\n:c: 3\n", "b", "4", ":a: 1\n#:b: 2\n:b: 4\n:c: 3\n"},
		"added at the end":            {"a: 1", "b", "2", "a: 1\nb: 2"},
		"CR LF stays":                 {"a: 1\r\nb: 2\r\n", "a", "3", "a: 3\r\nb: 2\r\n"},
		"behind a list":               {"l:\n- x: 1\n  y: 2\nb: 2\n", "b", "3", "l:\n- x: 1\n  y: 2\nb: 3\n"},
		"behind a block scalar":       {"l: |\n  x: 1\nb: 2\n", "b", "3", "l: |\n  x: 1\nb: 3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := set([]byte(tc.in), tc.key, tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ in, key, value string }{
		"tab":                     {"a:\n\tb: 1\n", "a", "x"},
		"text without a key":      {"hello\n", "a", "x"},
		"quote over two lines":    {"a: 'x\n  y'\n", "a", "x"},
		"text after a quote":      {"a: 'x' y\n", "a", "x"},
		"escape sequence":         {`a: "\t"`, "a", "x"},
		"colon in a plain value":  {"a: b: c\n", "a", "x"},
		"line end in a new value": {"a: 1\n", "a", "x\ny"},
		"a mapping for a value":   {"a:\n  b: 1\n", "a", "x"},
		"a list for a value":      {"a:\n- b\n", "a", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			if out, err := set([]byte(tc.in), tc.key, tc.value); err == nil {
				t.Errorf("gave %q", out)
			}
		})
	}
	if _, err := set([]byte("a:\n  b: 1\n"), "a/c", "x"); !errors.Is(err, text.ErrNoKey) {
		t.Errorf("a nested key that is absent: %v, want ErrNoKey", err)
	}
}

func TestLaws(t *testing.T) {
	samples := []string{":a: 'x'\n:b:\n  - 1\n", "a:\n  b: \"c\" # d\n", "a: |\n  b: 1\n\nc: [1]\nd: 2", "a: 1\r\nb: x\r\n"}
	for _, data := range stock(t) {
		samples = append(samples, string(data))
	}
	texttest.Laws(t, Codec(), samples...)
}

func FuzzLaws(f *testing.F) {
	texttest.FuzzLaws(f, Codec(), append(files(f), ":a: 'x'\n:b:\n  - 1\n", "a:\n  b: \"c\" # d\n", "a: 1\r\nb: x\r\n")...)
}

// files are OpenNebula's own, of Sunstone, FireEdge, OneFlow and OneGate.
func files(f *testing.F) []string {
	f.Helper()
	var out []string
	for _, data := range stock(f) {
		out = append(out, string(data))
	}
	return out
}

func FuzzSet(f *testing.F) {
	f.Add(":a: 'x'\n:b:\n  - 1\n", "a", "it's")
	f.Add("a:\n  b: \"c\" # d\n", "a/b", `\"`)
	f.Add("a: |\n  b: 1\n\nc: [1]\n", "c", "#")
	for _, s := range files(f) {
		f.Add(s, "host", "192.0.2.1")
	}
	f.Fuzz(func(t *testing.T, in, key, value string) {
		before, err := list([]byte(in))
		if err != nil {
			return
		}
		out, err := set([]byte(in), key, value)
		if err != nil {
			return
		}
		if got, ok, err := get(out, key); got != value || !ok || err != nil {
			t.Fatalf("set %q in %q: %q reads %q %v %v", key, in, out, got, ok, err)
		}
		if again, err := set(out, key, value); err != nil || string(again) != string(out) {
			t.Fatalf("again: %q, %v", again, err)
		}
		for _, e := range before {
			if got, _, err := get(out, e.Key); err != nil || got != e.Value && e.Key != clean(key) {
				t.Fatalf("set %q in %q: %s became %q (%v)", key, in, e.Key, got, err)
			}
		}
	})
}
