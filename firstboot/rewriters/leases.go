package rewriters

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
)

// leaseFiles are where DHCP clients remember what a server lent them, and what they are called by. dhclient asks for the
// address again, and where the server is not authoritative that costs each clone 20 s (measured).
var leaseFiles = []Place{
	{Where: "/var/lib/dhcp/*.lease*", Why: "dhclient of Debian: leases, and the DUID in them"},
	{Where: "/var/lib/dhclient/*.lease*", Why: "dhclient of Red Hat, one file per profile and link, br-ex among them"},
	{Where: "/var/lib/NetworkManager/*.lease", Why: "leases of NetworkManager's own and of its dhclient"},
	{Where: "/var/lib/NetworkManager/secret_key", Why: "seeds stable client ids and IPv6 addresses: equal keys collide"},
	{Where: "/var/lib/NetworkManager/secret-key", Why: "the same, as older versions call it"},
	{Where: "/var/lib/NetworkManager/seen-bssids", Why: "radio cells that the golden machine met"},
	{Where: "/var/lib/NetworkManager/no-auto-default.state", Why: "MACs of the golden NICs"},
	{Where: "/var/lib/dhcpcd/*.lease*", Why: "dhcpcd"},
	{Where: "/var/lib/dhcpcd/duid", Why: "dhcpcd's own DUID"},
	{Where: "/var/lib/dhcpcd/secret", Why: "seeds dhcpcd's stable addresses"},
	{Where: "/var/lib/dhcpcd5/*.lease*", Why: "dhcpcd of Debian 10 and 11"},
	{Where: "/var/lib/dhcpcd5/duid", Why: "the same"},
	{Where: "/etc/dhcpcd.duid", Why: "dhcpcd before version 9"},
	{Where: "/etc/dhcpcd.secret", Why: "the same"},
	{Where: "/var/lib/systemd/network/*.lease", Why: "systemd-networkd, where it keeps leases over a boot"},
	{Where: "/var/lib/wicked/lease-*.xml", Why: "wicked"},
	{Where: "/var/lib/wicked/duid.xml", Why: "wicked's own DUID"},
	{Where: "/var/lib/wicked/iaid.xml", Why: "the same"},
}

// leases removes what belongs to an earlier self, before a network manager can ask for it again. A clone that reboots
// keeps its lease.
func leases() Rewriter {
	return Rewriter{
		Name: "leases", Short: "DHCP leases and client identities of the golden machine", Phase: Local, Base: true,
		Owns: slices.Clone(leaseFiles), Plan: planLeases,
	}
}

func planLeases(_ context.Context, s *Scene) error {
	if !s.Rekey && sameMACs(s.From.NICs, s.To.NICs) {
		return nil
	}
	var errs []error
	for _, p := range leaseFiles {
		files, err := s.Host.Glob(p.Where)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot list %s: %w", p.Where, err))
		}
		for _, f := range files {
			errs = append(errs, s.SecretFile(f, nil, plan.Meta{}, p.Why)) // some hold keys, and no lease is worth printing
		}
	}
	return errors.Join(errs...)
}

// sameMACs tells whether the leases of one machine are those of the other.
func sameMACs(a, b []identity.NIC) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(n identity.NIC) bool {
		return !slices.ContainsFunc(b, func(m identity.NIC) bool { return SameMAC(m.MAC, n.MAC) })
	})
}
