package rewriters

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/hosts"
)

// hostsFile owns /etc/hosts: addresses of earlier selves, our own names, and the names of the cluster's other nodes.
func hostsFile() Rewriter {
	return Rewriter{
		Name: "hosts", Short: "own address and names in /etc/hosts, and the cluster's other nodes", Phase: Stack, Base: true,
		Owns:   []Place{{Where: "/etc/hosts", Why: "lines that name this machine, and one line per peer"}},
		Leaves: []Place{{Where: "/etc/hosts", Key: "127.0.0.0/8 and ::1", Why: "loopback lines follow the name, not the address"}},
		Plan:   planHosts,
	}
}

func planHosts(_ context.Context, s *Scene) error {
	const path = "/etc/hosts"
	data, err := s.Host.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	out, err := s.leftClusters(data)
	if err != nil {
		return err
	}
	out, err = hosts.Rewrite(out, func(a netip.Addr, names []string) (netip.Addr, []string) {
		ours := s.To.Address.IsValid() && s.wasOurs(a)
		names = s.ownNames(names, ours || a == selfByName)
		if ours {
			a = s.face(a)
		}
		return a, names
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.To.Peers)) {
		if out, err = hosts.Ensure(out, s.To.Peers[name], name); err != nil {
			return err
		}
	}
	return s.File(path, out, plan.Meta{}, "this machine's own lines")
}

// selfByName is what Debian gives a host name that has no address of its own.
var selfByName = netip.AddrFrom4([4]byte{127, 0, 1, 1})

// ownNames follows the names of one line. A clone without a domain has one name for two of an earlier self's: it stands
// once. One with a domain gets its long name on its own lines back from there.
func (s *Scene) ownNames(names []string, own bool) []string {
	var out []string
	add := func(n string) {
		if !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, n) }) {
			out = append(out, n)
		}
	}
	moved := false
	for _, n := range names {
		now := s.name(n)
		moved = moved || now != n
		if own && now == s.To.Hostname && s.lostDomain() && !slices.ContainsFunc(names, func(n string) bool { return s.name(n) == s.To.FQDN() }) {
			add(s.To.FQDN())
		}
		add(now)
	}
	if !moved && !own {
		return names // somebody else's line, with a name twice if he likes
	}
	return out
}

// lostDomain tells whether this disk has a domain now, as the golden machine had, and lived without one in between.
func (s *Scene) lostDomain() bool {
	return s.To.Domain != "" && s.Old[0].Domain != "" && slices.ContainsFunc(s.Old, func(id identity.Identity) bool { return id.Hostname != "" && id.Domain == "" })
}

// leftClusters takes out the lines that earlier lives wrote for nodes that are not in this clone's cluster.
func (s *Scene) leftClusters(data []byte) ([]byte, error) {
	var err error
	for _, id := range s.Old {
		for _, name := range slices.Sorted(maps.Keys(id.Peers)) {
			addr := id.Peers[name]
			if s.To.Peers[name] == addr || s.Old.Name(name) || addr == s.To.Address {
				continue
			}
			if data, err = hosts.Drop(data, addr, name); err != nil {
				return nil, err
			}
		}
	}
	return data, nil
}
