package seal

import (
	"path"
	"slices"
)

// kerberosKDC is off: on a machine that is the KDC itself this is the realm.
var kerberosKDC = Operation{
	Name:  "kerberos-kdc",
	Short: "database of a Kerberos KDC; its configuration stays",
	Off:   true,
	Why:   "the realm with all its principals would have to be made again",
	Do: func(s *Scene) error {
		found, err := s.Find("var/kerberos/krb5kdc/*", "var/lib/krb5kdc/*")
		if err != nil {
			return err
		}
		for _, p := range found {
			if !slices.Contains([]string{"kadm5.acl", "kdc.conf"}, path.Base(p)) {
				if err := s.Remove(Escape(p)); err != nil {
					return err
				}
			}
		}
		return nil
	},
}
