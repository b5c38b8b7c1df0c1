package fleet

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// Found gives every clone of an order that has no cluster secret one of its own: each is a controller that others can join.
func (o *Order) Found() {
	o.eachClaim(func(c *identity.Claim) {
		if c.Cluster == "" {
			c.Cluster = randomHex(16)
		}
	})
}

// addressPatience is how long a controller that has just been started may take to have an address.
const addressPatience = 3 * time.Minute

// Join lets the clones of an order join the cluster of a clone that stands already: they get into its network, and are told
// its address and its secret.
func (b Bench) Join(ctx context.Context, o *Order, controller string) error {
	s, clones, err := b.Find(controller)
	if err != nil {
		return err
	}
	c := clones[0]
	if len(clones) != 1 {
		return report.Faultf(report.Usage, "cannot join %s: it has %d clones, and each is a cluster", controller, len(clones)).
			WithHint("--join %s", c.Name)
	}
	if c.Claim.Cluster == "" {
		return report.Faultf(report.Usage, "cannot join %s: it was made without a cluster secret, so its passwords are its own", c.Name).
			WithHint("goldsmith clone %s --cluster", s.Image.Name)
	}
	address, err := b.addressOf(ctx, s, c)
	if err != nil {
		return err
	}
	o.Network, o.Lab = s.Network, nil
	o.eachClaim(func(claim *identity.Claim) {
		if claim.Peers == nil {
			claim.Peers = map[string]netip.Addr{}
		}
		claim.Peers[identity.Controller], claim.Cluster = address, c.Claim.Cluster
	})
	return nil
}

// eachClaim visits the claim of every clone.
func (o *Order) eachClaim(f func(*identity.Claim)) {
	if len(o.Claims) == 0 {
		o.Claims = make([]identity.Claim, max(o.Count, 0))
	}
	for i := range o.Claims {
		f(&o.Claims[i])
	}
}

// addressOf waits until a clone has an address.
func (b Bench) addressOf(ctx context.Context, s *State, c Clone) (netip.Addr, error) {
	for end := time.Now().Add(addressPatience); ; {
		list, err := s.Look(ctx, []Clone{c})
		if err != nil || list[0].Address.IsValid() {
			return list[0].Address, err
		}
		if st := list[0]; st.settled() || time.Now().After(end) {
			return netip.Addr{}, report.Faultf(report.Usage, "cannot join %s: it has no address; it is %s%s", c.Name, st.State, prefixed(": ", st.Why)).
				WithHint("goldsmith wait %s", c.Name)
		}
		select {
		case <-ctx.Done():
			return netip.Addr{}, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// guests lists other fleets that stand in the lab of this one.
func (b Bench) guests(s *State) ([]string, error) {
	if s.Lab == nil {
		return nil, nil
	}
	all, err := b.Fleets()
	var out []string
	for _, o := range all {
		if o.Name != s.Name && o.Lab == nil && o.Network == s.Lab.Network {
			out = append(out, o.Name)
		}
	}
	return out, err
}

// checkGuests refuses to take the network away from others.
func (b Bench) checkGuests(s *State) error {
	guests, err := b.guests(s)
	if err != nil || len(guests) == 0 {
		return err
	}
	f := report.Faultf(report.Usage, "cannot remove %s: %s stands in its lab", s.Name, strings.Join(guests, ", "))
	for _, g := range guests {
		f = f.WithHint("goldsmith remove %s", g)
	}
	return f
}
