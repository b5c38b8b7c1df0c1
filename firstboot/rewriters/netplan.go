package rewriters

import (
	"context"
	"errors"
	"path"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/netplan"
)

// netplanFiles follows netplan. Its generator has run before us and written files for networkd or NetworkManager below
// /run: those rewriters follow them, so that this boot is right too.
func netplanFiles() Rewriter {
	const files = "/etc/netplan/*.yaml"
	return Rewriter{
		Name: "netplan", Short: "netplan: MACs, names of NICs, DHCP client ids", Phase: Local, Base: true,
		Owns: []Place{
			{Where: files, Key: "macaddress, match/macaddress", Why: "MACs of NICs, and those that bridges copy"},
			{Where: files, Key: "names of devices, match/name, set-name, and lists of ports", Why: "names of NICs"},
			{Where: files, Key: "dhcp-identifier", Why: "mac: what a server knows the clone by does not hang on its machine id"},
			{Where: files, Key: "dhcp4-overrides/hostname, dhcp6-overrides/hostname", Why: "host name that the DHCP server learns"},
		},
		Plan: planNetplan,
	}
}

func planNetplan(_ context.Context, s *Scene) error {
	files, err := s.configs("/etc/netplan/*.yaml")
	errs := []error{err}
	for _, f := range files {
		errs = append(errs, s.renamed(netplan.Codec, f, netplan.Rename, netplanRule(f), netplanIDs))
	}
	return errors.Join(errs...)
}

// netplanRule knows the keys of netplan's reference.
func netplanRule(file string) keyRule {
	return func(s *Scene, key, was string) (plan.Value, string, error) {
		name, _, _ := strings.Cut(path.Base(key), "#")
		switch name {
		case "macaddress":
			return ruled(s, LinkMAC, was, "MAC of the golden NIC")
		case "hostname":
			return ruled(s, Name, was, "host name that the DHCP server learns")
		case "addresses":
			s.static(file, key, was)
		}
		return plan.Text(was), "", nil
	}
}

// netplanIDs makes every device with DHCP call itself by its MAC.
func netplanIDs(data []byte) ([]keyEdit, error) {
	devices, err := netplan.Interfaces(data)
	if err != nil {
		return nil, err
	}
	var out []keyEdit
	for _, d := range devices {
		dhcp, _, err1 := netplan.Codec.Get(data, d.Key+"/dhcp4")
		was, ok, err2 := netplan.Codec.Get(data, d.Key+"/dhcp-identifier")
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		if !yes(dhcp) || was == "mac" {
			continue
		}
		e := keyEdit{key: d.Key + "/dhcp-identifier", was: plan.Text(was), want: plan.Text("mac"),
			why: "a client id from a copied machine id makes all clones one machine to the DHCP server"}
		if !ok {
			e.was = plan.Gone
		}
		out = append(out, e)
	}
	return out, nil
}

func yes(v string) bool {
	switch strings.ToLower(v) {
	case "true", "yes", "on", "y", "1":
		return true
	}
	return false
}
