package rewriters

import (
	"context"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
)

const macWhy = "VMs of two clones on one VLAN must not share MACs"

// nestedRange is the clone's own: 65536 addresses that no other clone on its VLAN has, because its NIC's MAC is in them.
func (s *Scene) nestedRange() (from, to string, err error) {
	from, err = identity.NestedMAC(s.To.MAC(s.To.Interface))
	return from, strings.TrimSuffix(from, "00:00") + "ff:ff", err
}

// pools gives the default MAC pool the clone's own range. A pool of several ranges cannot be told apart, because the table has
// no key; and those of other pools would meet the other clones'.
func (e *engine) pools(ctx context.Context) {
	if e.Keeps("ovirt/macs") {
		return
	}
	ranges, nics := e.read(ctx, "mac_pool_ranges", "mac_pool_id", "from_mac", "to_mac"), e.read(ctx, "vm_interface", "id", "mac_addr")
	for _, p := range e.read(ctx, "mac_pools", "id", "name", "default_pool") {
		var own []host.Row
		for _, r := range ranges {
			if r["mac_pool_id"] == p["id"] {
				own = append(own, r)
			}
		}
		if len(own) == 1 && p["default_pool"] == "true" {
			e.pool(own[0], nics)
		} else if len(own) > 0 && e.Rekey {
			e.unless("ovirt/macs", "MAC pool "+p["name"], "VMs of all clones would draw from it: leave one pool with one range in the golden image")
		}
	}
}

// pool moves a range, and the MACs that VMs have of it: their last two octets stay. A range that somebody chose after the clone
// became itself stays; one that engine-setup drew on the clone (56:6f and two octets at random), and no VM uses, does not.
func (e *engine) pool(r host.Row, nics []host.Row) {
	from, to, err := e.nestedRange()
	if err != nil {
		e.err = err
		return
	}
	prefix := strings.ToLower(r["from_mac"])
	if len(prefix) != len(from) || prefix == from {
		return
	}
	prefix = prefix[:12]
	drawn := strings.HasPrefix(prefix, "56:6f:")
	var used []host.Row
	for _, n := range nics {
		if strings.HasPrefix(strings.ToLower(n["mac_addr"]), prefix) {
			used = append(used, n)
		}
	}
	if !e.Rekey && (!drawn || len(used) > 0) {
		return
	}
	id := r["mac_pool_id"]
	e.set("mac_pool_ranges", "mac_pool_id", id, "from_mac", r["from_mac"], from, macWhy, false)
	e.set("mac_pool_ranges", "mac_pool_id", id, "to_mac", r["to_mac"], to, macWhy, false)
	for _, n := range used {
		e.set("vm_interface", "id", n["id"], "mac_addr", n["mac_addr"], from[:12]+strings.ToLower(n["mac_addr"][12:]), macWhy, false)
	}
}
