package seal

// hostID: gethostid(3) and ZFS.
var hostID = Operation{
	Name:   "hostid",
	Short:  "host id, and the pools that ZFS knew",
	Remove: []string{"etc/hostid", "etc/zfs/zpool.cache"},
}
