package rewriters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/keyfile"
)

// networkd follows systemd-networkd's files. Its DHCP client calls itself by a DUID that comes from the machine id unless
// told otherwise: the clone bug that is reported most of all.
func networkd() Rewriter {
	return Rewriter{
		Name: "networkd", Short: "systemd-networkd: MACs, names of NICs, DHCP client ids", Phase: Local, Base: true,
		Owns: []Place{
			{Where: "/etc/systemd/network/*.{network,netdev} and drop-ins", Key: "MACAddress, PermanentMACAddress", Why: "MACs of NICs, and those that bridges copy"},
			{Where: "/etc/systemd/network/*.network and drop-ins", Key: "[Match] Name, [Network] BindCarrier", Why: "names of NICs"},
			{Where: "/etc/systemd/network/*.network", Key: "[DHCPv4] ClientIdentifier", Why: "mac: what a server knows the clone by does not hang on its machine id"},
			{Where: "/etc/systemd/{networkd.conf,networkd.conf.d/*.conf}, *.network", Key: "DUIDRawData", Why: "a literal DUID is the same on all clones"},
			{Where: "/etc/systemd/network/*.network", Key: "Hostname", Why: "host name that the DHCP server learns"},
			{Where: "/run/systemd/network/*.{network,netdev}", Key: "all of these", Why: "what netplan's generator made of the golden configuration earlier in this boot"},
		},
		Leaves: []Place{
			{Where: "/usr/lib/systemd/network", Why: "belongs to the packages and names no machine; clients there go by the machine id, which is the clone's own"},
			{Where: "/run/systemd/netif/leases", Why: "does not outlive a boot"},
		},
		Plan: planNetworkd,
	}
}

func planNetworkd(_ context.Context, s *Scene) error {
	files, err := s.configs("/etc/systemd/network/*.network", "/etc/systemd/network/*.netdev",
		"/etc/systemd/network/*.network.d/*.conf", "/etc/systemd/network/*.netdev.d/*.conf",
		"/etc/systemd/networkd.conf", "/etc/systemd/networkd.conf.d/*.conf",
		"/run/systemd/network/*.network", "/run/systemd/network/*.netdev") // netplan's generator has run before us
	errs := []error{err}
	for _, f := range files {
		list, err := s.edits(keyfile.Codec, f, networkdRule(f))
		if err == nil {
			err = s.settle(keyfile.Codec, f, f, list)
		}
		if err == nil && strings.HasSuffix(f, ".network") {
			err = s.dhcpByMAC(f)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// networkdRule knows the keys of systemd.network(5) and systemd.netdev(5).
func networkdRule(file string) keyRule {
	return func(s *Scene, key, was string) (plan.Value, string, error) {
		section, name, _ := strings.Cut(strings.TrimPrefix(key, "["), "] ")
		section, _, _ = strings.Cut(section, "#")
		switch name {
		case "MACAddress", "PermanentMACAddress":
			return ruled(s, macList, was, "MAC of the golden NIC")
		case "BindCarrier":
			return ruled(s, linkList, was, "the NIC has another name on this machine")
		case "Name":
			if section == "Match" {
				return ruled(s, linkList, was, "the NIC has another name on this machine")
			}
		case "DUIDRawData":
			return plan.Gone, "a literal DUID makes all clones one machine to the DHCP server", nil
		case "Hostname":
			return ruled(s, Name, was, "host name that the DHCP server learns")
		case "Address":
			s.static(file, key, was)
		}
		return plan.Text(was), "", nil
	}
}

// dhcpByMAC makes a .network file with DHCP call itself by the MAC. [DHCP] is what the section was called before systemd
// 243, and is still read.
func (s *Scene) dhcpByMAC(file string) error {
	list, err := s.List(keyfile.Codec, file)
	if err != nil || !usesDHCPv4(list) {
		return err
	}
	section := "DHCPv4"
	if slices.ContainsFunc(list, func(e text.Entry) bool { return strings.HasPrefix(e.Key, "[DHCP] ") }) {
		section = "DHCP"
	}
	return s.Set(keyfile.Codec, file, fmt.Sprintf("[%s] ClientIdentifier", section), "mac",
		"a client id from a copied machine id makes all clones one machine to the DHCP server")
}

func usesDHCPv4(list []text.Entry) bool {
	for _, e := range list {
		if e.Key == "[Network] DHCP" {
			switch strings.ToLower(e.Value) {
			case "yes", "true", "on", "1", "ipv4", "both", "v4":
				return true
			}
		}
	}
	return false
}
