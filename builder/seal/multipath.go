package seal

// multipath: names given to disks of the golden machine.
var multipath = Operation{
	Name:   "multipath",
	Short:  "disks that multipath knew",
	Remove: []string{"etc/multipath/wwids", "etc/multipath/bindings"},
}
