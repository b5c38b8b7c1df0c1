package seal

// journal: its folders are named by machine ids.
var journal = Operation{
	Name:   "journal",
	Short:  "journal of systemd",
	Remove: []string{"var/log/journal/*", "run/log/journal/*"},
}
