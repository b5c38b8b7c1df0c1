package seal

// machineInfo: hostnamectl keeps a pretty name, a chassis and a location there (machine-info(5)).
var machineInfo = Operation{
	Name:   "machine-info",
	Short:  "what hostnamectl was told about the machine",
	Remove: []string{"etc/machine-info"},
}
