package seal

// sshHostKeys: firstboot makes new ones before sshd starts; Debian itself never would.
var sshHostKeys = Operation{
	Name:   "ssh-host-keys",
	Short:  "SSH host keys",
	Why:    "whoever has one clone could pose as every other",
	Remove: []string{"etc/ssh/ssh_host_*_key", "etc/ssh/ssh_host_*_key.pub"},
}
