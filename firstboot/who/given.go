// Package who puts together who a clone shall be: what it is told, what its hardware says, and the address that it gets.
package who

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/source"
)

// Given is an identity that somebody wrote down: for a tree, where there is no hardware to ask and no lease to wait for.
type Given struct {
	identity.Identity
	From string      // the file's name
	Tree host.Reader // the machine
}

// ReadGiven reads an identity from a JSON file. An unknown field is an error: a misspelt one would leave the golden value.
func ReadGiven(name string, tree host.Reader) (Given, error) {
	f, err := os.Open(name)
	if err != nil {
		return Given{}, fmt.Errorf("cannot read the identity: %w", err)
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	g := Given{From: name, Tree: tree}
	if err := d.Decode(&g.Identity); err != nil {
		return Given{}, fmt.Errorf("cannot read the identity from %s: %w", name, err)
	}
	if !g.Address.IsValid() || len(g.NICs) == 0 {
		return Given{}, errors.New("cannot use the identity in " + name + ": it needs address and nics")
	}
	return g, nil
}

// Claim returns the names that the file gives. The MAC addresses tell this machine from another.
func (g Given) Claim(context.Context) (identity.Claim, string, error) {
	return identity.Claim{Hostname: g.FQDN(), Interface: g.Interface, Prefix: g.Prefix, Peers: g.Peers,
		MachineID: g.MachineID}, g.From, nil
}

// Machine returns the identity's hardware, and the machine id that stands in the tree.
func (g Given) Machine(ctx context.Context) (identity.Identity, error) {
	m, err := source.Look(ctx, g.Tree)
	return identity.Identity{NICs: g.NICs, SystemID: g.SystemID, MachineID: m.MachineID, BaseMAC: g.BaseMAC, Prefix: g.Prefix}, err
}

// Face returns the address in the file.
func (g Given) Face(_ context.Context, id identity.Identity, _ identity.Policy) (identity.Identity, error) {
	id.Address, id.Address6, id.PrefixLen = g.Address, g.Address6, g.PrefixLen
	if id.Interface == "" {
		id.Interface = g.NICs[0].Name
	}
	return id, nil
}
