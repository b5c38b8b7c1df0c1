package hosts

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
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
		{"append after a torn line", "127.0.0.1 localhost", "127.0.0.1 localhost\n10.9.8.7\tnode1 n1\n"},
		{"append CRLF", "127.0.0.1 localhost\r\n", "127.0.0.1 localhost\r\n10.9.8.7\tnode1 n1\r\n"},
		{"there", "10.9.8.7 node1\n", "10.9.8.7 node1\n"},
		{"moved, in another case", "10.0.0.1\tNODE1 # x\n", "10.9.8.7\tNODE1 # x\n"},
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

func TestLookupTakesWholeNames(t *testing.T) {
	for name, want := range map[string]string{"packstack": "10.77.237.155", "PACKSTACK2": "10.77.237.15", "pack": "", "head": ""} {
		got, ok := Lookup([]byte(sample), name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
}
