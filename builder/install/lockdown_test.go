package install

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The networks of the plugin's manual.
func manual() Lockdown {
	return Lockdown{Bridge: "onebr0", Uplinks: []string{"eth0"}, Guests: []netip.Prefix{netip.MustParsePrefix("10.0.3.0/24")},
		Storage: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}}
}

func TestNFTRules(t *testing.T) {
	l := manual()
	l.Storage = append(l.Storage, netip.MustParsePrefix("fd00:2::/64"))
	got, err := l.NFT()
	if err != nil {
		t.Fatal(err)
	}
	want := `#!/usr/sbin/nft -f
# guests cannot reach the storage network; written by goldsmith
table bridge storage_lockdown
delete table bridge storage_lockdown
table inet storage_lockdown
delete table inet storage_lockdown
table bridge storage_lockdown {
	chain forward {
		type filter hook forward priority filter; policy accept;
		meta ibrname "onebr0" iifname != { "eth0" } ip daddr { 10.0.2.0/24 } drop
		meta ibrname "onebr0" iifname != { "eth0" } ip6 daddr { fd00:2::/64 } drop
	}
	chain input {
		type filter hook input priority filter; policy accept;
		meta ibrname "onebr0" iifname != { "eth0" } ip daddr { 10.0.2.0/24 } drop
		meta ibrname "onebr0" iifname != { "eth0" } ip6 daddr { fd00:2::/64 } drop
		meta ibrname "onebr0" iifname != { "eth0" } ip saddr 0.0.0.0 udp dport 67 accept
		meta ibrname "onebr0" iifname != { "eth0" } ip6 saddr { ::, fe80::/10 } accept
		meta ibrname "onebr0" iifname != { "eth0" } ip saddr != { 10.0.3.0/24 } drop
		meta ibrname "onebr0" iifname != { "eth0" } meta protocol ip6 drop
	}
}
table inet storage_lockdown {
	chain forward {
		type filter hook forward priority filter; policy accept;
		ip saddr { 10.0.3.0/24 } ip daddr { 10.0.2.0/24 } drop
	}
}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLockdownRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*Lockdown)
		say   string
	}{
		"a bridge that is a command": {func(l *Lockdown) { l.Bridge = `x"; drop` }, "no name of a bridge"},
		"an uplink too long":         {func(l *Lockdown) { l.Uplinks[0] = "enp0s31f6enp0s31f6" }, "no name of a link"},
		"no guests":                  {func(l *Lockdown) { l.Guests = nil }, "must be named"},
		"an address for a network":   {func(l *Lockdown) { l.Storage[0] = netip.MustParsePrefix("10.0.2.1/24") }, "no network address"},
		"overlapping networks":       {func(l *Lockdown) { l.Storage[0] = netip.MustParsePrefix("10.0.0.0/16") }, "overlap"},
	} {
		t.Run(name, func(t *testing.T) {
			l := manual()
			tc.spoil(&l)
			_, err1 := l.NFT()
			_, err2 := l.IPTables()
			_, err3 := LockdownEdits(l)
			for _, err := range []error{err1, err2, err3} {
				if err == nil || !strings.Contains(err.Error(), tc.say) {
					t.Errorf("error %v, want one that says %q", err, tc.say)
				}
			}
		})
	}
	l := manual()
	l.Storage = []netip.Prefix{netip.MustParsePrefix("fd00:2::/64")}
	if _, err := l.IPTables(); err == nil || !strings.Contains(err.Error(), "hint: use the nft form") {
		t.Errorf("iptables took IPv6: %v", err)
	}
}

func TestLockdownEdits(t *testing.T) {
	root := opened(t)
	edits, err := LockdownEdits(manual())
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Apply(root, edits); err != nil || states(r)[Changed] != 2 {
		t.Errorf("%v %v", r, err)
	}
	if r, err := Apply(root, edits); err != nil || states(r)[Already] != 2 {
		t.Errorf("again: %v %v", r, err)
	}
}

func TestSharedWire(t *testing.T) {
	got := SharedWire(Wire{"storage", "eth1", 20}, []Wire{{"a", "eth1", 30}, {"b", "eth1", 20}, {"c", "br0", 20}, {"d", "eth1", 0}})
	if diff := cmp.Diff([]string{"network b is on the storage's wire (eth1, VLAN 20)"}, got); diff != "" {
		t.Error(diff)
	}
	if got := SharedWire(Wire{"storage", "br0", 0}, []Wire{{"a", "br0", 30}, {"b", "br0", 0}}); len(got) != 1 || !strings.Contains(got[0], "network b") {
		t.Errorf("without a tag: %q", got)
	}
}
