package rewriters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
)

// openVSwitch follows the MAC that a bridge was given in Open vSwitch's database: puppet writes the golden NIC's there as
// well as into ifcfg-br-ex, and ifup never takes it out. And it names the chassis where that meets others.
func openVSwitch() Rewriter {
	return Rewriter{
		Name: "openvswitch", Short: "MACs of bridges in Open vSwitch's database, and the chassis' name", Phase: Local, Base: true,
		Owns: []Place{
			{Where: "Bridge", Key: "other_config:hwaddr", Why: "MAC of the bridge that owns the NIC"},
			{Where: "Open_vSwitch, " + systemIDFile, Key: "external_ids:system-id", Why: "where ovn-remote is another machine: two chassis of one name push each other out of its database"},
		},
		Leaves: []Place{
			{Where: "Open_vSwitch", Key: "external_ids:system-id", Why: "where OVN's databases are the machine's own: the chassis' row in them was cloned along, and another name takes OVN down"},
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
	return errors.Join(append(errs, s.chassis(ctx), s.ovsInterfaces(ctx))...)
}

// systemIDFile is what ovs-ctl writes into the database at each start.
const systemIDFile = "/etc/openvswitch/system-id.conf"

// chassis gives a chassis of somebody else's OVN a name of its own, before Open vSwitch starts and ovn-controller registers it.
func (s *Scene) chassis(ctx context.Context) error {
	const name = "openvswitch/system-id"
	if !s.Rekeys(name) {
		return nil
	}
	records, err := s.Host.OVS(ctx, "Open_vSwitch", "external_ids")
	if err != nil && !errors.Is(err, host.ErrNoOVS) {
		return err
	}
	for _, record := range slices.Sorted(maps.Keys(records)) {
		ids := records[record]
		const place = "external_ids:system-id"
		was, ok := ids[place]
		if !ok || !s.elsewhere(ids["external_ids:ovn-remote"]) {
			continue
		}
		const why = "names the chassis in a database that others are in, too"
		own := randomUUID(s.SecretBytes(name, 16))
		s.Propose(plan.Change{Kind: plan.OVS, Where: "Open_vSwitch", Key: record + " " + place, Was: plan.Text(was), Want: plan.Text(own), Why: why, Restart: s.by.Units})
		return s.eachLine(systemIDFile, why, func(line string) string {
			if line == "" {
				return line
			}
			return own
		})
	}
	return nil
}

// elsewhere tells whether a list of OVSDB remotes (ssl:192.0.2.1:6642,unix:/run/ovn/ovnsb_db.sock) has another machine. A name
// that no peer has is taken for this machine's, since changing too much takes a whole cloud down.
func (s *Scene) elsewhere(remotes string) bool {
	for r := range strings.SplitSeq(remotes, ",") {
		kind, where, _ := strings.Cut(strings.TrimSpace(r), ":")
		host, _, err := net.SplitHostPort(where)
		if kind != "tcp" && kind != "ssl" || err != nil || s.here(host) {
			continue
		}
		if a, err := netip.ParseAddr(host); err == nil && !a.IsLoopback() {
			return true
		}
		if _, ok := s.To.Peers[host]; ok {
			return true
		}
	}
	return false
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
