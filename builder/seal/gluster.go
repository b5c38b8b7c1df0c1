package seal

// gluster: glusterd makes a new UUID where there is none. One that has peers or volumes is known by it, and then it stays: such a
// machine is a part of its cluster, and clones of it cannot be another part.
var gluster = Operation{
	Name:  "gluster",
	Short: "UUID of a Gluster daemon that has no peers and no volumes",
	Why:   "two peers of one UUID cannot join",
	Do: func(s *Scene) error {
		known, err := s.Find("var/lib/glusterd/peers/*", "var/lib/glusterd/vols/*")
		if err != nil || len(known) > 0 {
			return err
		}
		return s.Remove("var/lib/glusterd/glusterd.info")
	},
}
