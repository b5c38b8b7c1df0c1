package seal

// vdsmHost: without the file vdsm takes the UUID of the (virtual) board, which every clone has its own. The network that an
// engine has given to the host names the golden NICs; a clone gets one when it is added to an engine.
var vdsmHost = Operation{
	Name:   "vdsm-host",
	Short:  "id of an oVirt host, and the networks that an engine gave it",
	Why:    "an engine refuses a second host of one id",
	Remove: []string{"etc/vdsm/vdsm.id", "var/lib/vdsm/persistence/netconf", "var/lib/vdsm/staging/netconf"},
}
