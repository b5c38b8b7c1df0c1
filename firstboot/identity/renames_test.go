package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cards makes NICs from "name" or "name=last octet of the MAC".
func cards(list string, mac *int) []NIC {
	var out []NIC
	for _, f := range strings.Fields(list) {
		name, last, ok := strings.Cut(f, "=")
		if !ok {
			*mac++
			last = fmt.Sprintf("%02x", *mac)
		}
		out = append(out, NIC{Name: name, MAC: "52:54:00:00:00:" + last})
	}
	return out
}

func TestRenames(t *testing.T) {
	for _, c := range []struct {
		name, from, to    string
		wasPublic, public string
		want              map[string]string
		fault             string
	}{
		{"no drift", "eth0", "eth0", "", "", map[string]string{"eth0": "eth0"}, ""},
		{"one NIC", "ens192", "ens3", "", "", map[string]string{"ens192": "ens3"}, ""},
		{"in the order of the names", "ens224 ens192", "ens10 ens3", "", "", map[string]string{"ens192": "ens3", "ens224": "ens10"}, ""},
		{"a NIC more", "eth0", "eth0 eth1", "", "", map[string]string{"eth0": "eth0"}, ""},
		{"the same card under another name", "eth0=aa eth1=bb", "ens3=bb ens4=aa", "", "", map[string]string{"eth0": "ens4", "eth1": "ens3"}, ""},
		{"one name stays", "eth0 ens5", "eth0 ens9", "", "", map[string]string{"eth0": "eth0", "ens5": "ens9"}, ""},
		{"a NIC fewer", "eth0 eth1", "ens3", "", "", map[string]string{}, "takes the place of eth0, eth1: this machine has ens3"},
		{"a NIC fewer, but the public one is named", "eth0 eth1", "ens3", "eth0", "ens3", map[string]string{"eth0": "ens3"}, ""},
		{"another number, another name", "ens192", "ens3 ens4", "", "", map[string]string{}, "this machine has ens3, ens4"},
		{"the public one is named", "ens192", "ens3 ens4", "ens192", "ens4", map[string]string{"ens192": "ens4"}, ""},
		{"no NIC at all", "ens192", "", "", "", map[string]string{}, "this machine has no NIC"},
		{"a name moves up", "enp1s0 enp2s0", "enp2s0 enp3s0", "", "", map[string]string{"enp1s0": "enp3s0", "enp2s0": "enp2s0"}, "a name of both"},
		{"nothing baked", "", "ens3", "", "", map[string]string{}, ""},
	} {
		mac := 0
		got, err := Renames(cards(c.from, &mac), cards(c.to, &mac), c.wasPublic, c.public)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.fault)
		}
	}
}

// A name that the clone has is never renamed, so that applying a map twice is applying it once.
func TestRenamesAreStable(t *testing.T) {
	for _, c := range [][2]string{{"ens3 ens4", "ens4 ens5"}, {"a b c", "c a d"}, {"eth0 eth1 eth2", "eth2 eth3 eth4"}} {
		mac := 0
		to := cards(c[1], &mac)
		m, _ := Renames(cards(c[0], &mac), to, "", "")
		for _, new := range m {
			if again, ok := m[new]; ok && again != new {
				t.Errorf("%v: %s becomes %s becomes %s", c, new, new, again)
			}
		}
	}
}

func FuzzNatural(f *testing.F) {
	f.Add("ens3", "ens10")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := natural(a, b), natural(b, a); (x < 0) != (y > 0) || (x == 0) != (y == 0) {
			t.Errorf("%q %q: %d %d", a, b, x, y)
		}
	})
}
