package vlan

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/report"
)

func TestLeasesAreRead(t *testing.T) {
	in := `1795232922 52:54:00:11:22:33 10.0.9.56 demo-1 01:52:54:00:11:22:33
1795232923 52:54:00:AA:BB:CC 10.0.9.57 * *
duid 00:01:00:01:2f:8a:11:22:52:54:00:11:22:33
1795232924 6523 fd00::57 demo-1 00:04
1795232925 52:54:00:11
`
	want := []Lease{
		{"52:54:00:11:22:33", netip.MustParseAddr("10.0.9.56"), "demo-1", "01:52:54:00:11:22:33"},
		{"52:54:00:aa:bb:cc", netip.MustParseAddr("10.0.9.57"), "", ""},
	}
	got, err := parseLeases(strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func FuzzLeases(f *testing.F) {
	f.Add("1795232922 52:54:00:11:22:33 10.0.9.56 demo-1 01:52:54:00:11:22:33\n")
	f.Fuzz(func(t *testing.T, s string) { parseLeases(strings.NewReader(s)) })
}

func TestPoolLeavesTheBridgeAlone(t *testing.T) {
	tests := []struct {
		name, subnet string
		pool         int
		first, last  string
		fails        bool
	}{
		{"a /24 keeps twenty addresses back", "10.0.9.0/24", 0, "10.0.9.21", "10.0.9.254", false},
		{"host bits of the subnet do not matter", "10.0.9.77/24", 0, "10.0.9.21", "10.0.9.254", false},
		{"a /22 reaches over the octet", "10.0.8.0/22", 0, "10.0.8.21", "10.0.11.254", false},
		{"a small subnet keeps the bridge's address only", "10.0.9.0/29", 0, "10.0.9.2", "10.0.9.6", false},
		{"a pool of two", "10.0.9.0/24", 2, "10.0.9.21", "10.0.9.22", false},
		{"a pool larger than the subnet", "10.0.9.0/29", 100, "10.0.9.2", "10.0.9.6", false},
		{"too small", "10.0.9.0/30", 0, "", "", true},
		{"IPv6", "fd00::/64", 0, "", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := NewLab("t", netip.MustParsePrefix(tt.subnet), "")
			l.Pool = tt.pool
			first, last, err := l.pool()
			if (err != nil) != tt.fails || tt.fails && report.CodeOf(err) != report.Usage {
				t.Fatalf("got error %v, want one: %t", err, tt.fails)
			}
			if err == nil && (first.String() != tt.first || last.String() != tt.last) {
				t.Errorf("got %s to %s, want %s to %s", first, last, tt.first, tt.last)
			}
		})
	}
}
