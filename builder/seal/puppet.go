package seal

// puppet: certificates by which a master knows an agent, and catalogues of the golden machine. What packstack's puppet needs
// lies in /var/tmp/packstack and is kept.
var puppet = Operation{
	Name:  "puppet",
	Short: "certificates and cache of a puppet agent",
	Why:   "a puppet server takes all clones for one node",
	Remove: []string{"var/lib/puppet/*/*", "etc/puppet/ssl/*", "etc/puppetlabs/puppet/ssl/*", "opt/puppetlabs/puppet/cache/*",
		"var/cache/puppet/*"},
}
