package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckRefusesTwoOwners(t *testing.T) {
	set := func(by, key string) Change {
		return Change{By: by, Kind: "ini", Where: "/etc/nova/nova.conf", Key: key, Want: Text("x")}
	}
	cases := []struct {
		name    string
		changes []Change
		want    []string // parts of the error; none for a plan that passes
	}{
		{"two keys of one file", []Change{set("nova", "[DEFAULT] my_ip"), set("secrets", "[DEFAULT] transport_url")}, nil},
		{"one key twice", []Change{set("nova", "[DEFAULT] my_ip"), set("neutron", "[DEFAULT] my_ip")}, []string{"both nova and neutron own it"}},
		{"a key in a replaced file", []Change{set("nova", "[DEFAULT] my_ip"), {By: "seal", Kind: File, Where: "/etc/nova/nova.conf"}},
			[]string{"nova edits a file that seal replaces"}},
		{"every clash is named", []Change{set("a", "k"), set("b", "k"), set("a", "l"), set("b", "l")}, []string{"k: both a and b", "l: both a and b"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := Plan{Changes: c.changes}
			err := p.Check()
			if (err != nil) != (c.want != nil) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestSecretsAreMasked(t *testing.T) {
	c := Change{Was: Text("old-password"), Want: Text("new-password"), Secret: true}
	m := c.Masked()
	if m.Was.Text != "(secret)" || m.Want.Text != "(secret)" {
		t.Errorf("masked change shows %q -> %q", m.Was, m.Want)
	}
	if c.Want.Text != "new-password" {
		t.Error("masking changed the original")
	}
	gone := Change{Was: Gone, Want: Text("x"), Secret: true}
	if got := gone.Masked().Was; !got.Absent {
		t.Errorf("masked absence became %v", got)
	}
}

func TestRestartsAreNamedOnceInOrderOfNeed(t *testing.T) {
	got := Restarts([]Change{{Restart: []string{"b", "a"}}, {Restart: []string{"a", "c"}}, {}})
	if d := cmp.Diff([]string{"b", "a", "c"}, got); d != "" {
		t.Error(d)
	}
}

func TestTargetKeyIsStable(t *testing.T) {
	k := Target{Match: map[string]string{"port_id": "7", "host": "gold"}, Column: "host"}
	for range 20 {
		if got := k.Key(); got != "host=gold,port_id=7 host" {
			t.Fatal(got)
		}
	}
}
