package seal

// nvmeHost: the same as an iSCSI initiator name, for NVMe over fabrics.
var nvmeHost = Operation{
	Name:   "nvme-host",
	Short:  "NVMe host id and name",
	Why:    "two hosts of one id share a controller",
	Remove: []string{"etc/nvme/hostnqn", "etc/nvme/hostid"},
}
