//go:build !killmatrix

package main

import (
	"time"

	"goldsmith/firstboot"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/units"
)

// clock is the time.
func clock() time.Time { return time.Now() }

// manager restarts services on the running machine. In a tree nothing runs, so nothing is owed.
func manager(h *host.Host) firstboot.Units {
	if h.Running() {
		return units.Systemd{}
	}
	return nil
}
