package hosts

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/texttest"
)

const sample = "# head 10.77.237.155 packstack\n127.0.0.1\tlocalhost localhost.localdomain\n10.77.237.155\tpackstack\tpackstack.test.local # the cloud\n" +
	"10.77.237.15 packstack2\n::1 ip6-localhost\n bogus line\n\n10.77.237.155 alias"

func move(from, to string) func(netip.Addr, []string) (netip.Addr, []string) {
	return func(a netip.Addr, n []string) (netip.Addr, []string) {
		if a == netip.MustParseAddr(from) {
			a = netip.MustParseAddr(to)
		}
		return a, n
	}
}

func TestRewriteChangesTheAddressAndNothingElse(t *testing.T) {
	got, err := Rewrite([]byte(sample), move("10.77.237.155", "10.9.8.7"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(strings.Replace(sample, "10.77.237.155\tpackstack\t", "10.9.8.7\tpackstack\t", 1), "10.77.237.155 alias", "10.9.8.7 alias", 1)
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDrop(t *testing.T) {
	const before = "10.0.0.5 controller # theirs\n10.0.0.5\tcontroller ctl\r\n10.0.0.50 controller\n10.0.0.6 Controller\n10.0.0.5 CONTROLLER"
	const after = "10.0.0.5\tctl\r\n10.0.0.50 controller\n10.0.0.6 Controller\n"
	got, err := Drop([]byte(before), netip.MustParseAddr("10.0.0.5"), "controller")
	if err != nil || string(got) != after {
		t.Errorf("got %q %v", got, err)
	}
	if again, err := Drop(got, netip.MustParseAddr("10.0.0.5"), "controller"); err != nil || string(again) != after {
		t.Errorf("again %q %v", again, err)
	}
}

func TestRewriteRenames(t *testing.T) {
	got, err := Rewrite([]byte("10.0.0.1  gold gold.example # gold\r\n10.0.0.2 golden\r\n"), func(a netip.Addr, names []string) (netip.Addr, []string) {
		for i, n := range names {
			if n == "gold" {
				names[i] = "c1"
			}
		}
		return a, names
	})
	if want := "10.0.0.1  c1 gold.example # gold\r\n10.0.0.2 golden\r\n"; err != nil || string(got) != want {
		t.Errorf("got %q %v", got, err)
	}
}

func TestRewriteRefusesWhatWouldNotParse(t *testing.T) {
	for _, bad := range []string{"", "a b", "a#b", "a\nb"} {
		if got, err := Rewrite([]byte("10.0.0.1 x\n"), func(a netip.Addr, _ []string) (netip.Addr, []string) { return a, []string{bad} }); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
	if _, err := Rewrite([]byte("10.0.0.1 x\n"), func(a netip.Addr, _ []string) (netip.Addr, []string) { return a, nil }); err == nil {
		t.Error("a name was lost")
	}
}

func TestEnsure(t *testing.T) {
	addr := netip.MustParseAddr("10.9.8.7")
	cases := []struct{ name, in, want string }{
		{"append", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n10.9.8.7\tnode1 n1\n"},
		{"append after a torn line", "127.0.0.1 localhost", "127.0.0.1 localhost\n10.9.8.7\tnode1 n1"},
		{"append CRLF", "127.0.0.1 localhost\r\n", "127.0.0.1 localhost\r\n10.9.8.7\tnode1 n1\r\n"},
		{"there", "10.9.8.7 N1 node1\n", "10.9.8.7 N1 node1\n"},
		{"there, a name is missing", "10.9.8.7  node1 # x\n", "10.9.8.7  node1  n1 # x\n"},
		{"there, on two lines", "10.9.8.7 node1\n10.9.8.7 n1\n", "10.9.8.7 node1\n10.9.8.7 n1\n"},
		{"there, another name", "10.9.8.7\tother\n", "10.9.8.7\tother\tnode1\tn1\n"},
		{"moved, in another case", "10.0.0.1\tNODE1 n1 # x\n", "10.9.8.7\tNODE1 n1 # x\n"},
		{"moved with its other names", "10.0.0.1 node1 node1.example\n", "10.9.8.7 node1 node1.example n1\n"},
		{"not another name", "10.0.0.1 node11\n", "10.0.0.1 node11\n10.9.8.7\tnode1 n1\n"},
		{"loopback keeps localhost", "127.0.0.1 localhost node1 x\n", "127.0.0.1 localhost x\n10.9.8.7\tnode1 n1\n"},
		{"Debian's 127.0.1.1 moves", "127.0.1.1\tnode1\n", "10.9.8.7\tnode1\tn1\n"},
		{"the other family stays", "fd00::1 node1\n::1 localhost node1\n", "fd00::1 node1\n::1 localhost node1\n10.9.8.7\tnode1 n1\n"},
		{"empty file", "", "10.9.8.7\tnode1 n1\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Ensure([]byte(c.in), addr, "node1", "n1")
			if err != nil || string(got) != c.want {
				t.Fatalf("got %q %v", got, err)
			}
			if again, err := Ensure(got, addr, "node1", "n1"); err != nil || !bytes.Equal(again, got) {
				t.Errorf("twice is not once: %q %v", again, err)
			}
		})
	}
}

func TestCodec(t *testing.T) {
	for _, tc := range []struct{ name, key, value, want string }{
		{"blanks stay", "entry 1", "10.9.8.7 localhost localhost.localdomain", "10.9.8.7\tlocalhost localhost.localdomain\n"},
		{"a name more", "entry 1", "127.0.0.1 a b c", "127.0.0.1\ta b c\n"},
		{"a name less", "entry 1", "127.0.0.1 a", "127.0.0.1\ta\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Codec.Set([]byte(sample), tc.key, tc.value)
			if want := strings.Replace(sample, "127.0.0.1\tlocalhost localhost.localdomain\n", tc.want, 1); err != nil || string(got) != want {
				t.Errorf("got\n%s%v", got, err)
			}
		})
	}
	if got, err := Codec.Set([]byte("::1 x"), "entry 2", "10.0.0.1 a b"); err != nil || string(got) != "::1 x\n10.0.0.1\ta b" {
		t.Errorf("appended: %q, %v", got, err)
	}
	if got, err := Codec.Set([]byte("0:0::1  x y\n"), "entry 1", "::1 x z"); err != nil || string(got) != "0:0::1  x z\n" {
		t.Errorf("an address in another spelling: %q, %v", got, err)
	}
	if _, err := Codec.Set([]byte("::1 x\n"), "entry 3", "::1 y"); !errors.Is(err, text.ErrNoKey) {
		t.Errorf("entry 3 of 1: %v", err)
	}
	for _, bad := range []string{"", "10.0.0.1", "x y", "10.0.0.1  x", "10.0.0.1 x ", "0:0::1 x", "10.0.0.1 x#y", "10.0.0.1 x\ny", "fe80::1%eth0 x"} {
		if got, err := Codec.Set([]byte("10.0.0.2 z\n"), "entry 1", bad); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
	for _, key := range []string{"", "entry", "entry 0", "entry 01", "entry +1", "entry x", "1"} {
		if got, err := Codec.Set([]byte("10.0.0.2 z\n"), key, "10.0.0.1 x"); err == nil || errors.Is(err, text.ErrNoKey) {
			t.Errorf("key %q: %q, %v", key, got, err)
		}
	}
}

func samples() []string {
	return []string{sample, strings.ReplaceAll(sample, "\n", "\r\n"), "127.0.0.1\n0:0::1  x\n", "fe80::1%lo z\n::ffff:1.2.3.4\fa\n"}
}

func TestLaws(t *testing.T) { texttest.Laws(t, Codec, samples()...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, Codec, samples()...) }

// Ensure and Rewrite on anything: what they return is what a resolver finds, once is enough, and comments stay.
func FuzzEnsure(f *testing.F) {
	for _, s := range samples() {
		f.Add(s, "packstack", "10.9.8.7")
		f.Add(s, "localhost", "::1")
	}
	f.Fuzz(func(t *testing.T, data, name, address string) {
		addr, err := netip.ParseAddr(address)
		if err != nil {
			return
		}
		out, err := Ensure([]byte(data), addr, name)
		if err != nil {
			return
		}
		for _, e := range Parse(out) {
			if e.has(name) && e.Addr.Is4() == addr.Is4() && e.Addr != addr {
				t.Errorf("%q still has %s under %s", out, name, e.Addr)
			}
		}
		if again, err := Ensure(out, addr, name); err != nil || !bytes.Equal(again, out) {
			t.Errorf("twice is not once: %q, %q, %v", out, again, err)
		}
		if strings.Count(data, "#") != strings.Count(string(out), "#") {
			t.Errorf("a comment came or went: %q, %q", data, out)
		}
	})
}

func TestLookupTakesWholeNames(t *testing.T) {
	for name, want := range map[string]string{"packstack": "10.77.237.155", "PACKSTACK2": "10.77.237.15", "pack": "", "head": ""} {
		got, ok := Lookup([]byte(sample), name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
}
