package seal

// networkManager: secret_key goes into the stable IPv6 addresses and client ids of all connections (nm-settings(5)).
// Connections themselves stay: a bridge such as br-ex may be described nowhere else.
var networkManager = Operation{
	Name:  "network-manager",
	Short: "secret key, seen networks and leases of NetworkManager",
	Why:   "IPv6 addresses of clones would collide",
	Remove: []string{"var/lib/NetworkManager/secret_key", "var/lib/NetworkManager/seen-bssids", "var/lib/NetworkManager/timestamps",
		"var/lib/NetworkManager/*.lease", "var/lib/NetworkManager/internal-*", "var/lib/NetworkManager/dhclient-*", "var/lib/NetworkManager/NetworkManager-intern.conf"},
}
