package seal

// sshUserKeys is off: keys of root may be how the administrator gets in, and those of nova and oneadmin how hosts trust
// each other.
var sshUserKeys = Operation{
	Name:   "ssh-user-keys",
	Short:  "SSH keys and known hosts of users",
	Off:    true,
	Why:    "administrators log in by them, and stacks trust each other by them",
	Remove: []string{"root/.ssh/*", "home/*/.ssh/*"},
}
