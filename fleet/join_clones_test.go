//go:build clones

package fleet_test

import (
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// A fleet joins a clone that was made to be joined: it stands in the same network, and is told who the controller is and what
// the cluster's secret. The network goes only after its guests.
func TestClonesJoinAController(t *testing.T) {
	b := bench(t)
	o := order(t, b, "z-control", 2)
	o.Found()
	s := spawn(t, b, o)
	secret := s.Clones[0].Claim.Cluster
	if len(secret) != 32 || secret == s.Clones[1].Claim.Cluster {
		t.Fatal("the two clusters have no secrets of their own")
	}

	join := order(t, b, "a-compute", 2)
	if err := b.Join(t.Context(), &join, "z-control"); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "it has 2 clones") {
		t.Errorf("joined a whole fleet: %v", err)
	}
	if err := b.Join(t.Context(), &join, "z-control-1"); err != nil {
		t.Fatal(err)
	}
	g := spawn(t, b, join)
	if _, err := b.Wait(t.Context(), "a-compute", 3*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	at, err := s.Look(t.Context(), s.Clones[:1])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range g.Clones {
		if c.Claim.Peers[identity.Controller] != at[0].Address || c.Claim.Cluster != secret || c.Network != s.Network {
			t.Errorf("%s was told %v, and stands in %v", c.Name, c.Claim.Peers, c.Network)
		}
	}
	if _, err := b.Verify(t.Context(), "a-compute", time.Minute, nil); err != nil { // they answer by ARP, in that network
		t.Error(err)
	}

	err = b.Remove(t.Context(), "z-control", 0)
	if report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "a-compute stands in its lab") {
		t.Errorf("the network was removed below its guests: %v", err)
	}
	if _, err := b.Wait(t.Context(), "z-control", 3*time.Minute, nil); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
	for _, name := range []string{"a-compute", "z-control"} {
		if err := b.Remove(t.Context(), name, 0); err != nil {
			t.Error(err)
		}
	}
	nothingLeft(t, b, space("z-control"))

	plain := spawn(t, b, order(t, b, "plain", 1))
	if err := b.Join(t.Context(), &join, plain.Clones[0].Name); report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "without a cluster secret") {
		t.Errorf("joined a clone that was not made for it: %v", err)
	}
}
