package seal

// lvmDevices: LVM of EL 9 ignores disks that are not listed there, and clones have other disks.
var lvmDevices = Operation{
	Name:   "lvm-devices",
	Short:  "LVM's list of disks, and archived metadata",
	Remove: []string{"etc/lvm/devices/system.devices", "etc/lvm/devices/backup/*", "etc/lvm/archive/*", "etc/lvm/backup/*", "etc/lvm/cache/.cache"},
}
