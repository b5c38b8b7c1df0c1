package probe

import (
	"context"
	"strings"
)

// mac asks the wire: which hardware address answers for the leased address?
func mac() Probe {
	return Probe{Name: "mac", Question: "does the clone's own MAC answer at its address?", Ask: func(ctx context.Context, t Target) Answer {
		if t.Away {
			return skip("the bridge is another host's")
		}
		seen, err := t.Resolve(ctx)
		switch {
		case err != nil:
			return fail("silent", "nobody answers at %s: %v", t.Address, err)
		case seen != t.MAC:
			return fail(seen, "%s answers at %s, the clone was given %s", seen, t.Address, t.MAC)
		}
		return pass(seen, seen)
	}}
}

func address() Probe {
	return Probe{Name: "address", Question: "is the leased address the one that the clone says?", Ask: func(_ context.Context, t Target) Answer {
		show := t.Address.String()
		if t.Reported.IsValid() && t.Reported != t.Address {
			return fail(show, "leased %s, the clone reports %s", t.Address, t.Reported)
		}
		return pass(show, show)
	}}
}

// clientID: two clones that send one client id get one address, whatever their MACs are.
func clientID() Probe {
	return Probe{Name: "dhcp client id", Question: "is its DHCP client id its own?", Ask: func(_ context.Context, t Target) Answer {
		id := t.ClientID
		if id == "" {
			id = networkdClientID(t)
		}
		if id == "" {
			return skip("neither the DHCP server nor systemd-networkd tells one")
		}
		return pass(id, id)
	}}
}

// networkdClientID reads it from the lease of the first links (systemd-networkd keeps them by interface number).
func networkdClientID(t Target) string {
	for _, n := range []string{"2", "3", "4", "5"} {
		b, err := t.ReadFile("/run/systemd/netif/leases/" + n)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if id, ok := strings.CutPrefix(strings.TrimSpace(line), "CLIENTID="); ok {
				return id
			}
		}
	}
	return ""
}
