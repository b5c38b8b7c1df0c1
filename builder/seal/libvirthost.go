package seal

import "regexp"

var hostUUID = regexp.MustCompile(`(?m)^\s*host_uuid\s*=.*\n?`)

// libvirtHost: a fixed UUID in the configuration; without it libvirt takes the one of the (virtual) board.
var libvirtHost = Operation{
	Name:  "libvirt-host",
	Short: "fixed host UUID of libvirt",
	Why:   "libvirt refuses to migrate between hosts of one UUID",
	Do: func(s *Scene) error {
		for _, f := range []string{"etc/libvirt/libvirtd.conf", "etc/libvirt/virtqemud.conf"} {
			if err := s.Edit(f, func(t string) string { return hostUUID.ReplaceAllString(t, "") }); err != nil {
				return err
			}
		}
		return nil
	},
}
