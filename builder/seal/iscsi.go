package seal

// iscsiInitiator: Debian makes a new name when the file says so (startup-checks.sh of open-iscsi), EL when there is none
// (iscsi-init.service).
var iscsiInitiator = Operation{
	Name:  "iscsi-initiator",
	Short: "iSCSI initiator name",
	Why:   "two initiators of one name share a session, and destroy the volume",
	Do: func(s *Scene) error {
		const file = "etc/iscsi/initiatorname.iscsi"
		if found, err := s.Find(file); err != nil || len(found) == 0 {
			return err
		}
		if s.Tree.Exists("usr/lib/open-iscsi/startup-checks.sh") {
			return s.Write(file, []byte("GenerateName=yes\n"), 0o600)
		}
		return s.Remove(file)
	},
}
