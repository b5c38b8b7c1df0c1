package rewriters

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"slices"

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
	out, err := hosts.Rewrite(data, func(a netip.Addr, names []string) (netip.Addr, []string) {
		renamed := make([]string, len(names))
		for i, n := range names {
			renamed[i] = s.name(n)
		}
		if s.To.Address.IsValid() && s.wasOurs(a) {
			a = s.face(a)
		}
		return a, renamed
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
