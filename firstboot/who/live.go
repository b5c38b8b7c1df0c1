package who

import (
	"context"
	"errors"
	"time"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/lease"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/source"
)

// Running asks the running machine: its sources, its hardware, its network.
type Running struct{ Host *host.Host }

// Claim returns what the first source that is there says.
func (r Running) Claim(ctx context.Context) (identity.Claim, string, error) {
	return source.Read(ctx, r.Host)
}

// Machine returns what the hardware shows, and what follows from it: the MACs of nested VMs and the storage prefix.
func (r Running) Machine(ctx context.Context) (identity.Identity, error) {
	m, err := source.Look(ctx, r.Host)
	id := identity.Identity{NICs: m.NICs, SystemID: m.SystemUUID, MachineID: m.MachineID}
	return derived(id), err
}

// derived fills in what follows from the NICs: the first one serves whose address tells clones apart.
func derived(id identity.Identity) identity.Identity {
	for _, n := range id.NICs {
		if base, err := identity.NestedMAC(n.MAC); err == nil {
			id.BaseMAC, id.Prefix = base, identity.DefaultPrefix(n.MAC)
			break
		}
	}
	return id
}

// Face waits until the link that carries the public face has an address, makes sure that no twin has it too, and adds it to
// the identity.
func (r Running) Face(ctx context.Context, id identity.Identity, pol identity.Policy) (identity.Identity, error) {
	f, err := lease.Wait(ctx, id.Interface, time.Duration(pol.LeaseTimeout))
	if errors.Is(err, lease.ErrNone) {
		return id, report.Faultf(report.Stopped, "%w", err).WithHint("is there a DHCP server on this network?").
			WithHint("ip address; ip route")
	}
	if err != nil {
		return id, &report.Fault{Code: report.Stopped, Err: err}
	}
	if err := lease.Probe(ctx, f); err != nil {
		return id, twin(err, f)
	}
	id.Interface, id.Address, id.Address6, id.PrefixLen = f.Interface, f.Address, f.Address6, f.PrefixLen
	return id, nil
}

// twin says what to do about one.
func twin(err error, f lease.Face) error {
	fault := &report.Fault{Code: report.Stopped, Err: err}
	t := (*lease.Twin)(nil)
	switch {
	case !errors.As(err, &t):
		return fault
	case t.Same:
		return fault.WithHint("shut one of the two down: both were started from the same disk, or with the same MAC")
	}
	return fault.WithHint("firstboot plan --phase local").WithHint("arping -D -I %s %s", f.Interface, f.Address)
}
