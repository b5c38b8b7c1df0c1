package seal

// backups: former versions of the user database, with password hashes.
var backups = Operation{
	Name:   "backups",
	Short:  "backups of passwd, shadow and group",
	Remove: []string{"etc/passwd-", "etc/shadow-", "etc/group-", "etc/gshadow-", "etc/subuid-", "etc/subgid-", "var/backups/*"},
}
