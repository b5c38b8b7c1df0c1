package seal

// packageIDs: numbers by which distributions count or serve single machines.
var packageIDs = Operation{
	Name:  "package-ids",
	Short: "ids of popularity contest, yum and others, old answers to debconf's password questions",
	Remove: []string{"etc/popularity-contest", "var/lib/yum/uuid", "etc/insights-client/machine-id", "etc/insights-client/.registered", "etc/sysconfig/hw-uuid", "etc/smolt/uuid", "etc/smolt/hw-uuid",
		"var/lib/rpm/__db.*", "var/cache/debconf/*-old", "var/lib/dpkg/*-old"},
	Empty: []string{"var/cache/debconf/passwords.dat"},
}
