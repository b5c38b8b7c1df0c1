package seal

// machineID: systemd takes the word "uninitialized" as "this is the first boot" (machine-id(5)); an empty file is filled
// in without one, and units with ConditionFirstBoot do not run. D-Bus reads its own copy unless that is a link.
var machineID = Operation{
	Name:  "machine-id",
	Short: "machine id: uninitialized, and D-Bus reads the same file",
	Why:   "DHCP client id, IPv6 addresses and the journal are derived from it",
	Do: func(s *Scene) error {
		if err := s.Write("etc/machine-id", []byte("uninitialized\n"), 0o444); err != nil {
			return err
		}
		if _, err := s.Tree.Lstat("var/lib/dbus"); err != nil {
			return nil // no D-Bus
		}
		return s.Link("/etc/machine-id", "var/lib/dbus/machine-id")
	},
}
