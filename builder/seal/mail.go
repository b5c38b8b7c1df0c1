package seal

// mail: what cron and others wrote to root.
var mail = Operation{
	Name:   "mail",
	Short:  "mail of local users",
	Remove: []string{"var/mail/*", "var/spool/mail/*", "var/spool/exim4/input/*", "var/spool/exim4/msglog/*", "var/spool/postfix/maildrop/*", "root/dead.letter"},
}
