package rewriters

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/shellvar"
)

// ovn owns where a chassis says that it is, and where it finds its databases: nowhere but in Open vSwitch's database, where
// an installer wrote them once.
func ovn() Rewriter {
	options := func(file, key string) Setting {
		return Setting{File: file, Codec: shellvar.Codec, Key: key, Rule: options, Why: "where OVN's databases listen"}
	}
	return Rewriter{
		Name: "ovn", Short: "tunnel address and database addresses of an OVN chassis", Phase: Stack,
		Units: []string{"ovn-controller.service", "ovn-host.service", "ovn-northd.service", "ovn-central.service"},
		Settings: []Setting{options("/etc/sysconfig/ovn-northd", "OVN_NORTHD_OPTS"), options("/etc/sysconfig/ovn", "OVN_CONTROLLER_OPTS"),
			options("/etc/default/ovn-central", "OVN_CTL_OPTS"), options("/etc/default/ovn-host", "OVN_CTL_OPTS")},
		Owns: []Place{{Where: "Open_vSwitch", Key: "external_ids: ovn-encap-ip, ovn-remote, hostname", Why: "the chassis as others see it"}},
		Leaves: []Place{
			{Where: "OVN_Northbound, OVN_Southbound", Key: "Connection.target", Why: "bake ptcp:6641 and ptcp:6642 without an address"},
		},
		Plan: planOVN,
	}
}

func planOVN(ctx context.Context, s *Scene) error {
	records, err := s.Host.OVS(ctx, "Open_vSwitch", "external_ids")
	if errors.Is(err, host.ErrNoOVS) {
		return nil
	}
	for _, record := range slices.Sorted(maps.Keys(records)) {
		for _, place := range slices.Sorted(maps.Keys(records[record])) {
			_, key, _ := strings.Cut(place, ":")
			if key != "hostname" && !strings.HasPrefix(key, "ovn-") {
				continue
			}
			was := records[record][place]
			want, err := Any(s, was)
			if err != nil {
				return err
			}
			s.Propose(plan.Change{Kind: plan.OVS, Where: "Open_vSwitch", Key: record + " " + place, Was: plan.Text(was), Want: plan.Text(want),
				Why: "the chassis as others see it", Restart: s.by.Units})
		}
	}
	return err
}

// options follows the values of a command line's options: --db-nb-addr=10.0.0.1.
func options(s *Scene, was string) (string, error) {
	words := strings.Split(was, " ")
	for i, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok {
			words[i] = name + "=" + s.token(value)
		}
	}
	return strings.Join(words, " "), nil
}
