package seal

// blkidTab: caches of blkid on old systems, with UUIDs of disks that a clone does not have.
var blkidTab = Operation{
	Name:   "blkid-tab",
	Short:  "caches of blkid",
	Remove: []string{"etc/blkid/blkid.tab*", "etc/blkid.tab*", "var/run/blkid.tab*", "dev/.blkid.tab*"},
}
