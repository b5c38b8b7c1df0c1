package seal

import "regexp"

var (
	pinnedMAC  = regexp.MustCompile(`(?m)^[ \t]*HWADDR=.*\n?`)
	pinnedName = regexp.MustCompile(`(?m)^[ \t]*(DHCP_)?HOSTNAME=.*\n?`)
)

// nicPins is off: firstboot gives HWADDR the address of the clone's own NIC, by which NICs keep their names.
var nicPins = Operation{
	Name:  "nic-pins",
	Short: "HWADDR lines of ifcfg files",
	Off:   true,
	Why:   "firstboot writes the clone's own addresses there; without firstboot the lines keep a NIC of another address down",
	Do:    func(s *Scene) error { return s.dropLines(pinnedMAC, "etc/sysconfig/network-scripts/ifcfg-*") },
}

// hostnamePins is off for the same reason.
var hostnamePins = Operation{
	Name:  "hostname-pins",
	Short: "HOSTNAME and DHCP_HOSTNAME lines of ifcfg files and /etc/sysconfig/network",
	Off:   true,
	Why:   "firstboot writes the clone's own name there; without firstboot every clone calls itself like the golden machine",
	Do: func(s *Scene) error {
		return s.dropLines(pinnedName, "etc/sysconfig/network-scripts/ifcfg-*", "etc/sysconfig/network")
	},
}

func (s *Scene) dropLines(lines *regexp.Regexp, patterns ...string) error {
	found, err := s.Find(patterns...)
	for _, f := range found {
		if err == nil {
			err = s.Edit(f, func(text string) string { return lines.ReplaceAllString(text, "") })
		}
	}
	return err
}
