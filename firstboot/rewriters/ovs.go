package rewriters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
)

// openVSwitch follows the MAC that a bridge was given in Open vSwitch's database: puppet writes the golden NIC's there as
// well as into ifcfg-br-ex, and ifup never takes it out.
func openVSwitch() Rewriter {
	return Rewriter{
		Name: "openvswitch", Short: "MACs of bridges in Open vSwitch's database", Phase: Local, Base: true,
		Owns: []Place{{Where: "Bridge", Key: "other_config:hwaddr", Why: "MAC of the bridge that owns the NIC"}},
		Leaves: []Place{
			{Where: "Open_vSwitch", Key: "external_ids:system-id", Why: "names the chassis in OVN's database, which was cloned with it: another name takes OVN down"},
			{Where: "Interface", Key: "mac_in_use, mac", Why: "the first is a report of the daemon; the second is refused when it is the golden NIC's"},
			{Where: "Port", Key: "name", Why: "network scripts and netplan add a NIC to its bridge under the name that it has"},
		},
		Plan: planOpenVSwitch,
	}
}

func planOpenVSwitch(ctx context.Context, s *Scene) error {
	bridges, err := s.Host.OVS(ctx, "Bridge", "other_config")
	if errors.Is(err, host.ErrNoOVS) {
		return nil
	}
	if err != nil {
		return err
	}
	const place = "other_config:hwaddr"
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(bridges)) {
		was, ok := bridges[name][place]
		if !ok {
			continue
		}
		want, err := LinkMAC(s, was)
		if err != nil {
			errs = append(errs, fmt.Errorf("bridge %s of Open vSwitch: %w", name, err))
			continue
		}
		s.Propose(plan.Change{Kind: plan.OVS, Where: "Bridge", Key: name + " " + place, Was: plan.Text(was), Want: plan.Text(want),
			Why: "MAC of the golden NIC", Restart: s.by.Units})
	}
	return errors.Join(append(errs, s.ovsInterfaces(ctx))...)
}

// ovsInterfaces looks at what cannot be changed as an entry of a map.
func (s *Scene) ovsInterfaces(ctx context.Context) error {
	links, err := s.Host.OVS(ctx, "Interface", "mac", "type")
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		if mac := links[name]["mac"]; s.Old.MAC(mac) && !s.ownMAC(mac) {
			s.Danger("interface "+name+" of Open vSwitch", "it is given the golden MAC; clear it in the image: ovs-vsctl clear interface "+name+" mac")
		}
		if to, err := Link(s, name); err == nil && to != name {
			s.Note("port "+name+" of Open vSwitch", "this machine calls the NIC "+to+"; network scripts and netplan add it, otherwise: ovs-vsctl add-port")
		}
	}
	return nil
}
