package seal

// crashData: memory of processes, with whatever they knew.
var crashData = Operation{
	Name:   "crash-data",
	Short:  "core dumps and crash reports",
	Remove: []string{"var/crash/*", "var/lib/systemd/coredump/*", "var/spool/abrt/*", "var/lib/apport/coredump/*", "var/log/dump/*", "var/lib/kdump/*"},
}
