package seal

// subscription is off: a golden machine is often registered on purpose.
var subscription = Operation{
	Name:   "subscription",
	Short:  "registration with the vendor of the distribution",
	Off:    true,
	Why:    "clones could not fetch packages any more",
	Remove: []string{"etc/pki/consumer/*", "etc/pki/entitlement/*", "etc/sysconfig/rhn/systemid", "etc/sysconfig/rhn/osad-auth.conf", "var/lib/rhsm/*", "etc/zypp/credentials.d/*", "var/lib/ubuntu-advantage/private/*"},
}
