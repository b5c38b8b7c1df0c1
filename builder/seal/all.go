package seal

// All is the catalogue, in the order in which operations run. What others may write into (logs, tmp) comes last.
func All() []Operation {
	return []Operation{
		machineID, presets, machineInfo, sshHostKeys, randomSeed, credentialSecret,
		dhcpLeases, networkManager, udevNames, cloudInit,
		domain, puppet, serviceIDs, sessions, atJobs,
		iscsiInitiator, nvmeHost, hostID, blkidTab, lvmDevices, libvirtHost, multipath, vdsmHost, gluster,
		resolver, timeKeeping, installer, packageIDs, crashData, mail,
		shellHistory, backups, packageCache, stamps, journal, logs, tmp,
		sshUserKeys, snakeoil, subscription, kerberosKDC, nicPins, hostnamePins, unconfigured,
	}
}
