package seal

// udevNames: rules that tie names of links to MACs of the golden machine.
var udevNames = Operation{
	Name:   "udev-names",
	Short:  "udev rules that tie links and drives to the golden machine",
	Why:    "the first NIC of a clone would become eth1",
	Remove: []string{"etc/udev/rules.d/70-persistent-*.rules", "etc/udev/rules.d/75-persistent-*.rules", "etc/udev/rules.d/*-persistent-net.rules"},
}
