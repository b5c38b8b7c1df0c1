package seal

// stamps: without them, systemd's update units would run only once for all clones (systemd-update-done.service(8)).
var stamps = Operation{
	Name:  "stamps",
	Short: "stamps of systemd's offline updates, caches of the dynamic linker and of man, when logs were rotated",
	Remove: []string{"etc/.updated", "var/.updated", "var/cache/ldconfig/aux-cache", "var/cache/man/*", "var/cache/fontconfig/*",
		"var/lib/logrotate/status", "var/lib/logrotate/logrotate.status", "var/lib/logrotate.status"},
}
