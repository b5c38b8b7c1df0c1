package rewritertest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/host/hosttest"
)

// MakeOVS writes the fixture's OVSDB records into a real database file, with ovs-vsctl.
func MakeOVS(t testing.TB, f *Fixture, file string) {
	t.Helper()
	_, live, vsctl := hosttest.OVS(t)
	for _, table := range slices.Sorted(maps.Keys(f.OVS)) {
		for _, name := range slices.Sorted(maps.Keys(f.OVS[table])) {
			if table == "Bridge" {
				vsctl("--may-exist", "add-br", name)
			}
			record := name
			if table == "Open_vSwitch" {
				record = "."
			}
			for _, k := range slices.Sorted(maps.Keys(f.OVS[table][name])) {
				if col, key, ok := strings.Cut(k, ":"); ok {
					vsctl("set", table, record, col+":"+key+`="`+f.OVS[table][name][k]+`"`)
				}
			}
		}
	}
	data, err := os.ReadFile(live)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o640); err != nil {
		t.Fatal(err)
	}
}
