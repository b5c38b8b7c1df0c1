package seal

// atJobs: what the golden machine wanted to do once. Crontabs are configuration and stay.
var atJobs = Operation{
	Name:   "at-jobs",
	Short:  "jobs that at and batch would run on every clone",
	Remove: []string{"var/spool/at/*", "var/spool/atjobs/*", "var/spool/atspool/*", "var/spool/cron/atjobs/*", "var/spool/cron/atspool/*"},
}
