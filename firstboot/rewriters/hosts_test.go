package rewriters_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/rewriters/rewritertest"
)

// Lives of one disk, each after the one before, and what stands in /etc/hosts then.
func TestHostsOverSeveralLives(t *testing.T) {
	addr := netip.MustParseAddr
	peers := func(list ...string) map[string]netip.Addr {
		m := map[string]netip.Addr{}
		for i := 0; i < len(list); i += 2 {
			m[list[i]] = addr(list[i+1])
		}
		return m
	}
	type life struct {
		id   identity.Identity
		want string
	}
	for _, c := range []struct {
		name, golden string
		lives        []life
	}{
		{"no domain, and a domain again", "127.0.0.1 localhost\n127.0.1.1 golden.example.org golden\n10.0.0.1 golden.example.org golden\n", []life{
			{identity.Identity{Hostname: "east-1", Address: addr("10.0.0.10")}, "127.0.0.1 localhost\n127.0.1.1 east-1\n10.0.0.10 east-1\n"},
			{identity.Identity{Hostname: "east-2", Address: addr("10.0.0.11")}, "127.0.0.1 localhost\n127.0.1.1 east-2\n10.0.0.11 east-2\n"},
			{identity.Identity{Hostname: "west", Domain: "example.net", Address: addr("10.0.0.12")}, "127.0.0.1 localhost\n127.0.1.1 west.example.net west\n10.0.0.12 west.example.net west\n"},
		}},
		{"a name twice, from an earlier version", "10.0.0.1 golden golden\n10.9.9.9 a a\n", []life{
			{identity.Identity{Hostname: "golden", Domain: "example.org", Address: addr("10.0.0.1")}, "10.0.0.1 golden\n10.9.9.9 a a\n"},
		}},
		{"a long name that was never there", "10.0.0.1 golden\n", []life{
			{identity.Identity{Hostname: "east-1", Domain: "example.net", Address: addr("10.0.0.10")}, "10.0.0.10 east-1\n"},
		}},
		{"from one cluster to another", "10.0.0.1 golden.example.org golden\n10.5.5.5 nas controller-backup\n", []life{
			{identity.Identity{Hostname: "east-1", Address: addr("10.0.0.10"), Peers: peers("controller", "10.0.0.5", "east-2", "10.0.0.6")},
				"10.0.0.10 east-1\n10.5.5.5 nas controller-backup\n10.0.0.5\tcontroller\n10.0.0.6\teast-2\n"},
			{identity.Identity{Hostname: "west-1", Address: addr("10.0.1.10"), Peers: peers("controller", "10.0.1.5", "west-2", "10.0.1.6")},
				"10.0.1.10 west-1\n10.5.5.5 nas controller-backup\n10.0.1.5\tcontroller\n10.0.1.6\twest-2\n"},
			{identity.Identity{Hostname: "alone", Address: addr("10.0.0.6")}, "10.0.0.6 alone\n10.5.5.5 nas controller-backup\n"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &rewritertest.Fixture{Name: c.name, Files: map[string]string{"/etc/hosts": c.golden, "/etc/hostname": "golden\n"}}
			f.Scene.Baked = identity.Identity{Hostname: "golden", Domain: "example.org", Address: addr("10.0.0.1"), Interface: "eth0",
				NICs: []identity.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01"}}}
			m := newMachine(t, f)
			m.old = rewriters.Old{f.Scene.Baked}
			for i, l := range c.lives {
				l.id.Interface, l.id.NICs = f.Scene.Baked.Interface, f.Scene.Baked.NICs
				m.become(t, l.id, false)
				got, err := os.ReadFile(filepath.Join(m.dir, "etc/hosts"))
				check(t, err)
				if string(got) != l.want {
					t.Errorf("life %d: %q, want %q", i+1, got, l.want)
				}
				if again := m.become(t, l.id, false); len(again) > 0 {
					t.Errorf("life %d: a second plan is not empty:\n%s", i+1, render(again))
				}
			}
		})
	}
}
