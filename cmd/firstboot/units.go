//go:build !killmatrix

package main

import (
	"goldsmith/firstboot"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/units"
)

// manager restarts services on the running machine. In a tree nothing runs, so nothing is owed.
func manager(h *host.Host) firstboot.Units {
	if h.Running() {
		return units.Systemd{}
	}
	return nil
}
