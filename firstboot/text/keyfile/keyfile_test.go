package keyfile_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/keyfile"
	"goldsmith/firstboot/text/texttest"
)

const network = `# baked
[Match]
Name = br-ex
; MACAddress=00:00:00:00:00:00

[Network]
DNS=10.0.0.2
DNS=10.0.0.3 # part of the value

[Address]
Address=10.0.0.5/24

[Address]
Address="10.0.0.6/24"
Label=

[Service]
ExecStart=/bin/a \
    --b \
# a comment in between
  --c\\
Environment=X=Y
`

func TestGet(t *testing.T) {
	for _, tc := range []struct{ name, key, want string }{
		{"blanks round the equals sign", "[Match] Name", "br-ex"},
		{"the last of several, and no inline comment", "[Network] DNS", "10.0.0.3 # part of the value"},
		{"first of repeated sections", "[Address] Address", "10.0.0.5/24"},
		{"the same, counted", "[Address#1] Address", "10.0.0.5/24"},
		{"second of repeated sections, quotes kept", "[Address#2] Address", `"10.0.0.6/24"`},
		{"empty", "[Address#2] Label", ""},
		{"continuation over a comment, escaped backslash", "[Service] ExecStart", `/bin/a  --b  --c\\`},
		{"equals sign in the value", "[Service] Environment", "X=Y"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok, err := keyfile.Codec.Get([]byte(network), tc.key); err != nil || !ok || got != tc.want {
				t.Errorf("%s = %q, %v, %v; want %q", tc.key, got, ok, err, tc.want)
			}
		})
	}
	for _, key := range []string{"[match] Name", "[Match] name", "[Address#3] Address", "[Address] Label", "[Match] MACAddress"} {
		if got, ok, err := keyfile.Codec.Get([]byte(network), key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want nothing", key, got, ok, err)
		}
	}
}

func TestValues(t *testing.T) {
	got, err := keyfile.Values([]byte(network), "[Network] DNS")
	if diff := cmp.Diff([]string{"10.0.0.2", "10.0.0.3 # part of the value"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if got, err := keyfile.Values([]byte(network), "Network DNS"); err == nil {
		t.Errorf("a key without brackets has values %q", got)
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"spacing stays", "[A]\n  x  =  1  \ny=2\n", "[A] x", "9", "[A]\n  x  =  9  \ny=2\n"},
		{"the last of several", "[A]\nx=1\nx=2\n", "[A] x", "3", "[A]\nx=1\nx=3\n"},
		{"only in its section", "[A]\nx=1\n[A]\nx=1\n", "[A#2] x", "3", "[A]\nx=1\n[A]\nx=3\n"},
		{"continuations go, and the comment in them", "[A]\nx=1 \\\n# c\n 2\ny=3\n", "[A] x", "9", "[A]\nx=9\ny=3\n"},
		{"empty to something", "[A]\nx=\n", "[A] x", "9", "[A]\nx=9\n"},
		{"something to empty", "[A]\nx = 1\n", "[A] x", "", "[A]\nx = \n"},
		{"new after the last setting", "[A]\nx=1 \\\n 2\n\n# c\n[B]\n", "[A] y", "9", "[A]\nx=1 \\\n 2\ny=9\n\n# c\n[B]\n"},
		{"new in an empty section", "[A]\n\n[B]\nz=1\n", "[A] y", "9", "[A]\ny=9\n\n[B]\nz=1\n"},
		{"new in the second", "[A]\nx=1\n[A]\n[A]\nx=1\n", "[A#2] y", "9", "[A]\nx=1\n[A]\ny=9\n[A]\nx=1\n"},
		{"a second section", "[A]\nx=1\n", "[A#2] x", "2", "[A]\nx=1\n\n[A]\nx=2\n"},
		{"a new section, CRLF", "[A]\r\nx=1\r\n", "[B] y", "9", "[A]\r\nx=1\r\n\r\n[B]\r\ny=9\r\n"},
		{"a new section, unterminated", "[A]\nx=1", "[B] y", "9", "[A]\nx=1\n\n[B]\ny=9"},
		{"an empty file", "", "[B] y", "9", "[B]\ny=9\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := keyfile.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	got, err := keyfile.Codec.Delete([]byte("[A]\nx=1 \\\n 2\ny=3\nx=4\n[A]\nx=5\n"), "[A] x")
	if want := "[A]\ny=3\n[A]\nx=5\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"setting before a section", "x=1\n", "line 1: a setting before the first section"},
		{"neither", "[A]\nx\n", "line 2: neither"},
		{"no name", "[A]\n=1\n", "line 2: neither"},
		{"unclosed section", "[A\n", "line 1: a section header"},
		{"empty section", "[]\n", "line 1: a section header"},
		{"number sign in a section", "[A#2]\n", "line 1: a section header"},
		{"comment after a section", "[A] # c\n", "line 1: a section header"},
		{"continued to the end", "[A]\nx=1 \\\n", "continued, and nothing follows"},
		{"continued name", "[A]\nx \\\n y=1\n", "line 3: a setting whose name"},
		{"byte order mark", "\ufeff[A]\n", "line 1: a setting before"},
		{"carriage return inside", "[A]\nx=1\ry=2\n", "line 2: a carriage return"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := keyfile.Codec.Set([]byte(tc.in), "[A] x", "1"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	for _, key := range []string{"", "x", "[A]", "[A] ", "[] x", "[A#0] x", "[A#x] x", "[A] x=y", "[A] #x", "[A]  x", "[A] x\ny"} {
		if _, err := keyfile.Codec.Set([]byte("[A]\n"), key, "1"); err == nil || errors.Is(err, text.ErrNoKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if _, err := keyfile.Codec.Set([]byte("[A]\n"), "[A#3] x", "1"); !errors.Is(err, text.ErrNoKey) {
		t.Errorf("third of one section: %v", err)
	}
	for _, v := range []string{"a\nb", " a", "a ", "a\r", `a\`} {
		if out, err := keyfile.Codec.Set([]byte("[A]\nx=1\ny=2\n"), "[A] x", v); err == nil {
			t.Errorf("value %q became %q", v, out)
		}
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The places of the network identity: each Set changes exactly one line.
func TestRealFiles(t *testing.T) {
	for _, tc := range []struct{ file, key, was, want string }{
		{"br-ex.nmconnection", "[ethernet] cloned-mac-address", "00:50:56:8A:01:02", "52:54:00:12:34:56"},
		{"br-ex.nmconnection", "[ipv4] dhcp-client-id", "mac", "01:52:54:00:12:34:56"},
		{"ens3.nmconnection", "[ethernet] mac-address", "52:54:00:AA:BB:CC", "52:54:00:12:34:56"},
		{"ens3.nmconnection", "[connection] interface-name", "ens3", "eth0"},
		{"10-host0.network", "[Match] Name", "host0", "ens3"},
		{"10-host0.network", "[DHCPv4] ClientIdentifier", "duid", "mac"},
		{"systemd-networkd.service", "[Service] User", "systemd-network", "root"},
	} {
		in := read(t, tc.file)
		if got, _, err := keyfile.Codec.Get([]byte(in), tc.key); got != tc.was || err != nil {
			t.Errorf("%s %s = %q, %v", tc.file, tc.key, got, err)
		}
		out, err := keyfile.Codec.Set([]byte(in), tc.key, tc.want)
		_, name, _ := strings.Cut(tc.key, "] ")
		if diff := cmp.Diff(strings.Replace(in, name+"="+tc.was+"\n", name+"="+tc.want+"\n", 1), string(out)); diff != "" || err != nil {
			t.Error(tc.file, err, diff)
		}
	}
}

func samples(t testing.TB) []string {
	all := []string{network, strings.ReplaceAll(network, "\n", "\r\n"), strings.TrimSuffix(network, "\n"), "", "[A]"}
	for _, f := range []string{"br-ex.nmconnection", "ens3.nmconnection", "10-host0.network", "systemd-networkd.service"} {
		all = append(all, read(t, f))
	}
	return all
}

func TestLaws(t *testing.T) { texttest.Laws(t, keyfile.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, keyfile.Codec, samples(f)...) }

func BenchmarkSetIn10000Lines(b *testing.B) {
	data := []byte(strings.Repeat("[Address]\nAddress=10.0.0.1/24\n# c\n\n", 2500) + "[Link]\nMACAddress=1\n")
	for b.Loop() {
		if _, err := keyfile.Codec.Set(data, "[Link] MACAddress", "2"); err != nil {
			b.Fatal(err)
		}
	}
}
