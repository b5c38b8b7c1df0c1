package seal

// cloudInit: with the state of an instance in place, cloud-init takes a clone for the same instance and does nothing.
var cloudInit = Operation{
	Name:   "cloud-init",
	Short:  "state of cloud-init",
	Remove: []string{"var/lib/cloud/*", "run/cloud-init/*", "etc/netplan/50-cloud-init.yaml", "etc/network/interfaces.d/50-cloud-init*", "etc/sysconfig/network-scripts/ifcfg-*.cloud-init"},
}
