package rewriters

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/jsonkeys"
)

// vitastor makes the configuration of Vitastor's clients, monitors and OSDs follow the address. Vitastor knows no password: who
// has the same etcd_address and prefix is one cluster. The names of its images belong to OpenNebula's datastores; see opennebula.
func vitastor() Rewriter {
	return Rewriter{
		Name: "vitastor", Short: "Vitastor: vitastor.conf", Phase: Stack, Units: []string{"vitastor-mon.service", "vitastor.target"},
		Owns: []Place{
			{Where: "/etc/vitastor/*.conf", Key: "etcd_address, bind_address, hostname", Why: "where the cluster is, and who this client is in it"},
			{Where: "/etc/vitastor/*.conf", Key: "osd_network, osd_cluster_network", Why: "an OSD listens on its address in that network"},
		},
		Leaves: []Place{
			{Where: etcdUnit, Why: "etcd keeps the addresses of its members in its own database; one with baked addresses is refused"},
			{Where: "OSD superblocks", Why: "an OSD's number names its data"},
		},
		Plan: planVitastor,
	}
}

const etcdUnit = "/etc/systemd/system/vitastor-etcd.service"

func planVitastor(_ context.Context, s *Scene) error {
	paths, err := s.Host.Glob("/etc/vitastor/*.conf")
	if err != nil {
		return err
	}
	for _, p := range paths {
		if err := s.vitastorConf(p); err != nil {
			return err
		}
	}
	s.vitastorEtcd()
	return nil
}

func (s *Scene) vitastorConf(path string) error {
	list, err := s.List(jsonkeys.Codec(), path)
	if err != nil {
		return err
	}
	for _, e := range list {
		want, err := Any(s, e.Value)
		if name, _, _ := strings.Cut(e.Key, "/"); name == "osd_network" || name == "osd_cluster_network" {
			want, err = s.network(e.Value)
		}
		if err != nil {
			return fmt.Errorf("cannot follow %s of %s: %w", e.Key, path, err)
		}
		s.Propose(plan.Change{Kind: plan.Kind(jsonkeys.Codec().Name), Where: path, Key: e.Key, Was: plan.Text(e.Value),
			Want: plan.Text(want), Why: "where Vitastor is", Restart: s.by.Units})
	}
	return nil
}

// network follows a network that the machine was in and is not in any more.
func (s *Scene) network(was string) (string, error) {
	p, err := netip.ParsePrefix(was)
	if err != nil {
		return was, fmt.Errorf("%q is no network", was)
	}
	to := s.To.Address.Unmap()
	if !to.IsValid() || p.Contains(to) || to.Is4() != p.Addr().Is4() || s.To.PrefixLen == 0 {
		return was, nil
	}
	for _, id := range s.Old {
		if p.Contains(id.Address.Unmap()) {
			return netip.PrefixFrom(to, s.To.PrefixLen).Masked().String(), nil
		}
	}
	return was, nil
}

// vitastorEtcd refuses an etcd that was set up on the golden image's address: its flags, its certificate of membership and its
// data would have to change together, and only etcd itself can do that.
func (s *Scene) vitastorEtcd() {
	data, err := s.Host.ReadFile(etcdUnit)
	if err != nil {
		return
	}
	for _, word := range strings.FieldsFunc(string(data), func(r rune) bool { return !strings.ContainsRune("0123456789.", r) }) {
		if a, err := netip.ParseAddr(word); err == nil && a != s.To.Address && s.wasOurs(a) {
			s.Danger(etcdUnit, "etcd was made for "+word+", the golden image's address: make it on 127.0.0.1, or keep Vitastor's cluster "+
				"outside the image")
			return
		}
	}
}
