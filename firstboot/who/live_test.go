package who

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/lease"
	"goldsmith/firstboot/report"
)

func TestDerivedComesFromTheFirstNICThatTellsClonesApart(t *testing.T) {
	for _, c := range []struct {
		name         string
		nics         []identity.NIC
		base, prefix string
	}{
		{"one", []identity.NIC{{Name: "ens3", MAC: "52:54:00:12:34:56"}}, "f6:12:34:56:00:00", "gs123456"},
		{"the first says nothing", []identity.NIC{{Name: "a", MAC: "52:54:00:00:00:00"}, {Name: "b", MAC: "52:54:00:00:00:07"}}, "f6:00:00:07:00:00", "gs000007"},
		{"none", nil, "", ""},
	} {
		if id := derived(identity.Identity{NICs: c.nics}); id.BaseMAC != c.base || id.Prefix != c.prefix {
			t.Errorf("%s: %q %q", c.name, id.BaseMAC, id.Prefix)
		}
	}
}

func TestTwinSaysWhatToDo(t *testing.T) {
	f := lease.Face{Interface: "br-ex", Address: netip.MustParseAddr("10.0.0.7")}
	for _, c := range []struct {
		name string
		err  error
		hint string
	}{
		{"the very same", &lease.Twin{Link: "br-ex", Address: f.Address, MAC: "52:54:00:00:00:01", Same: true}, "shut one of the two down"},
		{"the same address", &lease.Twin{Link: "br-ex", Address: f.Address, MAC: "52:54:00:00:00:02"}, "arping -D -I br-ex 10.0.0.7"},
		{"no answer at all", errors.New("cannot look for a twin on br-ex: x"), ""},
	} {
		err := twin(c.err, f)
		if report.CodeOf(err) != report.Stopped || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, code %d", c.name, err, report.CodeOf(err))
		}
		if hints := strings.Join(report.Hints(err), "\n"); !strings.Contains(hints, c.hint) || c.hint == "" && hints != "" {
			t.Errorf("%s: hints %q", c.name, hints)
		}
	}
}
