package seal

// timeKeeping: drift and keys belong to one clock; an old stamp would set a clone's clock back.
var timeKeeping = Operation{
	Name:   "time-keeping",
	Short:  "clock drift, keys of chrony, stamps of timers",
	Remove: []string{"etc/adjtime", "var/lib/chrony/*", "var/lib/ntp/*", "var/lib/ntpsec/*", "var/lib/systemd/timesync/clock", "var/lib/systemd/timers/stamp-*", "etc/chrony/chrony.keys"},
}
