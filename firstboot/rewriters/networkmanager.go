package rewriters

import (
	"context"
	"errors"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text/keyfile"
)

// networkManager follows NetworkManager's connection profiles and its own configuration.
func networkManager() Rewriter {
	const profiles = "/etc/NetworkManager/system-connections/*"
	return Rewriter{
		Name: "networkmanager", Short: "NetworkManager: MACs, names of NICs, DHCP client ids", Phase: Local, Base: true,
		Owns: []Place{
			{Where: profiles, Key: "mac-address, cloned-mac-address, hwaddr and lists of them", Why: "MACs of NICs, and those that bridges copy"},
			{Where: profiles, Key: "interface-name, parent", Why: "names of NICs"},
			{Where: profiles, Key: "dhcp-client-id, dhcp-duid, dhcp-hostname", Why: "what the DHCP server knows the machine by"},
			{Where: "/run/NetworkManager/system-connections/*", Key: "all of these", Why: "what netplan's generator made of the golden configuration earlier in this boot"},
			{Where: "/etc/NetworkManager/{NetworkManager.conf,conf.d/*.conf}", Key: "unmanaged-devices, match-device, no-auto-default", Why: "NICs by MAC or name"},
		},
		Leaves: []Place{
			{Where: profiles, Key: "uuid, id", Why: "name the profile on this machine; with a secret_key of the clone's own, nothing on the wire is derived from them"},
		},
		Plan: planNetworkManager,
	}
}

func planNetworkManager(_ context.Context, s *Scene) error {
	files, err := s.configs("/etc/NetworkManager/system-connections/*", "/etc/NetworkManager/NetworkManager.conf",
		"/etc/NetworkManager/conf.d/*.conf", "/run/NetworkManager/system-connections/*") // the last are netplan's
	errs := []error{err}
	for _, f := range files {
		list, err := s.edits(keyfile.Codec, f, profileRule(f))
		if err == nil {
			err = s.settle(keyfile.Codec, f, f, list)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// profileRule knows the keys of a profile. nm-settings-keyfile(5).
func profileRule(file string) keyRule {
	return func(s *Scene, key, was string) (plan.Value, string, error) {
		section, name, _ := strings.Cut(key, "] ")
		name = strings.TrimSuffix(strings.TrimSuffix(name, "+"), "-")
		_, global, dotted := strings.Cut(name, ".") // "ipv4.dhcp-client-id" among the defaults of NetworkManager.conf
		if dotted {
			name = global
		}
		switch name {
		case "mac-address", "perm-hw-addr":
			return ruled(s, profileMAC(file), was, "MAC of the golden NIC")
		case "cloned-mac-address", "mac-address-blacklist", "mac-address-denylist", "hwaddr", "bridge-mac-address":
			return ruled(s, macList, was, "MAC of the golden NIC")
		case "unmanaged-devices", "match-device", "no-auto-default":
			return ruled(s, macsAndLinks, was, "the golden NIC")
		case "interface-name", "parent":
			return ruled(s, linkList, was, "the NIC has another name on this machine")
		case "dhcp-client-id":
			return clientID(was)
		case "dhcp-duid":
			return duid(was)
		case "dhcp-hostname", "dhcp-fqdn":
			return ruled(s, Name, was, "host name that the DHCP server learns")
		}
		if ip := strings.TrimPrefix(section, "["); (ip == "ipv4" || ip == "ipv6") && strings.HasPrefix(name, "address") {
			s.static(file, key, was)
		}
		return plan.Text(was), "", nil
	}
}

// profileMAC is the rule for the MAC that binds a profile to a NIC. Where the profile names the NIC as well, the MAC is the
// one of that NIC, whatever stood there.
func profileMAC(file string) Rule {
	return func(s *Scene, was string) (string, error) {
		device, ok, err := s.Get(keyfile.Codec, file, "[connection] interface-name")
		if err != nil {
			return was, err
		}
		if kind, _, err := s.Get(keyfile.Codec, file, "[connection] type"); err != nil || !ok || kind != "ethernet" && kind != "802-3-ethernet" {
			return macOrErr(s, was, err)
		}
		name, err := Link(s, device)
		if err == nil && s.hasNIC(name) && !SameMAC(s.To.MAC(name), was) {
			return s.To.MAC(name), nil
		}
		return macOrErr(s, was, err)
	}
}

func macOrErr(s *Scene, was string, err error) (string, error) {
	if err != nil {
		return was, err
	}
	return macList(s, was)
}

func macsAndLinks(s *Scene, was string) (string, error) {
	want, err := macList(s, was)
	if err != nil {
		return was, err
	}
	return linkList(s, want)
}

// duid removes a literal DUID; the keywords are derived on each machine (nm-settings, ipv6.dhcp-duid).
func duid(was string) (plan.Value, string, error) {
	switch was {
	case "lease", "llt", "ll", "stable-llt", "stable-ll", "stable-uuid":
		return plan.Text(was), "", nil
	}
	return plan.Gone, "a literal DUID makes all clones one machine to the DHCPv6 server", nil
}
