package rewriters

import (
	"slices"
	"testing"
)

func TestWaitingHoldsTheStackAndNotWhatFirstbootNeeds(t *testing.T) {
	var all []string
	for _, r := range All() {
		all = append(all, r.Name)
	}
	units := Waiting(all)
	for _, u := range []string{"mariadb.service", "ovsdb-server.service"} {
		if slices.Contains(units, u) {
			t.Errorf("%s would wait for the phase that needs it", u)
		}
	}
	if !slices.Contains(units, "apache2.service") {
		t.Errorf("Apache does not wait: %v", units)
	}
	if slices.Contains(Waiting([]string{"glance"}), "apache2.service") {
		t.Error("Apache waits for a stack that is not there")
	}
}
