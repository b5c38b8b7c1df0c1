package firstboot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

func TestResolveNames(t *testing.T) {
	packstack := identity.Identity{Hostname: "packstack", Domain: "test.local"}
	cases := []struct {
		name   string
		baked  identity.Identity
		policy identity.HostnamePolicy
		claim  string
		want   string
	}{
		{"keep is the default", packstack, "", "", "packstack.test.local"},
		{"a short claim keeps the domain", packstack, identity.KeepHostname, "c1", "c1.test.local"},
		{"a whole claim", packstack, identity.KeepHostname, "c1.example.", "c1.example"},
		{"from the MAC", packstack, identity.HostnameFromMAC, "", "packstack-0000a1.test.local"},
		{"a claim beats the MAC", packstack, identity.HostnameFromMAC, "c1", "c1.test.local"},
		{"the marker is nobody's name", identity.Marker(), identity.KeepHostname, "", "my-image-2"},
		{"the marker's domain is nobody's", identity.Marker(), "", "c1", "c1"},
		{"the image's name and the MAC", identity.Marker(), identity.HostnameFromMAC, "", "my-image-2-0000a1"},
	}
	machine := identity.Identity{NICs: []identity.NIC{{Name: "ens3", MAC: "52:54:00:00:00:a1"}}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			imp := &identity.Imprint{Image: "my_image.2", Baked: c.baked, Policy: identity.Policy{Hostname: c.policy}}
			id, err := resolve(imp, &State{Seed: make(rewriters.Seed, 32)}, machine, identity.Claim{Hostname: c.claim})
			if err != nil || id.FQDN() != c.want {
				t.Errorf("got %q %v, want %q", id.FQDN(), err, c.want)
			}
		})
	}
}

func TestResolveRefusesBadNames(t *testing.T) {
	for _, bad := range []string{"-a", "a_b", "a..b", "ä", strings.Repeat("a", 64), "a b", "a." + strings.Repeat("bcdefghij.", 26)} {
		_, err := resolve(&identity.Imprint{Image: "x"}, &State{Seed: make(rewriters.Seed, 32)}, identity.Identity{}, identity.Claim{Hostname: bad})
		if report.CodeOf(err) != report.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What makes a machine another one: the table of the design, "detect a clone by several factors".
func TestRenew(t *testing.T) {
	was := Factors{SystemUUID: "u1", Instance: "i1", MACs: []string{"m1", "m2"}}
	cases := []struct {
		name     string
		was, now Factors
		clone    bool
	}{
		{"nothing changed", was, was, false},
		{"another UUID", was, Factors{SystemUUID: "u2", Instance: "i1", MACs: was.MACs}, true},
		{"another instance", was, Factors{SystemUUID: "u1", Instance: "i2", MACs: was.MACs}, true},
		{"a swapped NIC", was, Factors{SystemUUID: "u1", Instance: "i1", MACs: []string{"m9"}}, false},
		{"the claim went away", was, Factors{SystemUUID: "u1", MACs: was.MACs}, false},
		{"a container with other NICs", Factors{MACs: []string{"m1"}}, Factors{MACs: []string{"m9"}}, true},
		{"a container with one more NIC", Factors{MACs: []string{"m1"}}, Factors{MACs: []string{"m1", "m9"}}, false},
		{"no NIC at all", Factors{MACs: []string{"m1"}}, Factors{}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &State{Seed: rewriters.Seed("golden seed"), Machine: c.was}
			why, err := s.renew(c.now, "id", "", fixed)
			if err != nil || (why != "") != c.clone || (string(s.Seed) != "golden seed") != c.clone {
				t.Errorf("why %q, error %v, seed changed %v", why, err, string(s.Seed) != "golden seed")
			}
		})
	}
	first := &State{}
	// Cut before it converged, then cloned: the id that it had is an old one.
	s := &State{Seed: rewriters.Seed("x"), Machine: was}
	if _, err := s.renew(Factors{Instance: "i2"}, "id", "", fixed); err != nil || !slices.Contains(s.Lives, "id") {
		t.Errorf("a clone that never converged forgets its id: %v %v", s.Lives, err)
	}
	if why, err := first.renew(was, "id", "", fixed); why == "" || err != nil || len(first.Seed) != 32 {
		t.Errorf("first boot: %q %v, %d bytes of seed", why, err, len(first.Seed))
	}
}

// A clone of a clone wakes up with its parent's machine id.
func TestMachineIDOfAnEarlierLife(t *testing.T) {
	st := &State{Seed: rewriters.Seed("child's seed, 32 bytes long....."), Lives: []string{"aaaa"}}
	imp := &identity.Imprint{Image: "x", Baked: identity.Identity{Hostname: "x", MachineID: "bbbb"}}
	for id, old := range map[string]bool{"aaaa": true, "bbbb": true, "cccc": false, "": false} {
		got, err := resolve(imp, st, identity.Identity{MachineID: id}, identity.Claim{})
		if err != nil || (got.MachineID != id) != old {
			t.Errorf("machine id %q became %q %v", id, got.MachineID, err)
		}
	}
}

var fixed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
