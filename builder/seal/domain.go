package seal

// domain: what makes a machine a member of a realm: its key, its account, and what sssd has learned. With the key of the
// golden machine every clone would be the same member, and the first that changes its password locks the others out.
var domain = Operation{
	Name:  "domain",
	Short: "membership of a Kerberos, FreeIPA or Windows domain, caches of sssd",
	Why:   "a domain takes all clones for one member; each has to join by itself",
	Remove: []string{"etc/krb5.keytab", "etc/ipa/ca.crt", "etc/ipa/default.conf", "var/lib/ipa-client/sysrestore/*", "var/lib/ipa-client/pki/*",
		"var/lib/sss/db/*", "var/lib/sss/mc/*", "var/lib/sss/pipes/private/*", "var/lib/sss/secrets/*", "var/lib/sss/keytabs/*",
		"var/lib/samba/*.tdb", "var/lib/samba/private/*.tdb", "var/lib/samba/private/krb5.conf", "var/cache/samba/*"},
}
