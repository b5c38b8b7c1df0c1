package seal

// homes are where users leave traces: their own folders, and those of the stacks.
var homes = []string{"root", "home/*", "var/lib/one", "var/lib/nova", "var/lib/vdsm", "var/lib/postgresql", "var/lib/rabbitmq"}

// traces are files that programs write into the home of their user.
var traces = []string{".bash_history", ".zsh_history", ".ash_history", ".python_history", ".mysql_history", ".mariadb_history",
	".psql_history", ".sqlite_history", ".rediscli_history", ".lesshst", ".viminfo", ".node_repl_history", ".irb_history"}

// shellHistory: commands, and the passwords that were typed into them.
var shellHistory = Operation{
	Name:  "history",
	Short: "histories of shells, database clients and editors",
	Do: func(s *Scene) error {
		var patterns []string
		for _, h := range homes {
			for _, t := range traces {
				patterns = append(patterns, h+"/"+t)
			}
		}
		return s.Remove(patterns...)
	},
}
