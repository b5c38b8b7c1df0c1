package who

import (
	"context"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/source"
)

// Running asks the running machine: its sources, its hardware, its network.
type Running struct{ Host *host.Host }

// Claim returns what the first source that is there says.
func (r Running) Claim(ctx context.Context) (identity.Claim, string, error) {
	return source.Read(ctx, r.Host)
}

// Machine returns what the hardware shows.
func (r Running) Machine(ctx context.Context) (identity.Identity, error) {
	m, err := source.Look(ctx, r.Host)
	return identity.Identity{NICs: m.NICs, SystemID: m.SystemUUID, MachineID: m.MachineID}, err
}
