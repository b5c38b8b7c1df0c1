package seal

// serviceIDs: names and keys that single services make for their host when they are started without.
var serviceIDs = Operation{
	Name:  "service-ids",
	Short: "instances of Dovecot, certificates of OpenPegasus, enrolled fingers",
	Remove: []string{"var/lib/dovecot/*", "etc/Pegasus/*.cnf", "etc/Pegasus/*.crt", "etc/Pegasus/*.csr", "etc/Pegasus/*.pem", "etc/Pegasus/*.srl",
		"var/lib/fprint/*"},
}
