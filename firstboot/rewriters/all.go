package rewriters

import (
	"errors"
	"fmt"
	"slices"
)

// All returns the catalogue in the order in which rewriters are asked. Help, manual, recipe checking and the shared test
// suite come from this list.
func All() []Rewriter {
	return []Rewriter{
		// every machine, before the network
		hostname(), machineID(), sshKeys(),
		udevNames(), networkScripts(), ifupdown(), netplanFiles(), networkManager(), networkd(), dhcpClients(), leases(), openVSwitch(), initiatorName(), libvirt(), vdsm(), leftAlone(), rootDisk(),
		// every machine, with its address
		accounts(), hostsFile(), debconfAnswers(), packstackAnswers(), knownHosts(), firewall(), certificates(),
		// what stacks stand on
		mariaDB(), mariaDBAccounts(), rabbitMQ(), redis(), memcacheD(), apacheVHosts(),
		// stacks
		keystone(), glance(), placement(), nova(), neutron(), cinder(), heat(), telemetry(), swift(), ovn(), horizon(), openrc(), openNebula(), vitastor(), oVirt(),
	}
}

// Select returns the base rewriters and those that the imprint names, in the catalogue's order. A name that is not in the
// catalogue is refused: a stack that nobody rewrites would keep the golden identity, in silence.
func Select(stacks []string) ([]Rewriter, error) {
	var list []Rewriter
	known := map[string]bool{}
	for _, r := range All() {
		known[r.Name] = true
		if r.Base || slices.Contains(stacks, r.Name) {
			list = append(list, r)
		}
	}
	var errs []error
	for _, s := range stacks {
		if !known[s] {
			errs = append(errs, fmt.Errorf("cannot rewrite stack %q: this firstboot does not know it", s))
		}
	}
	return list, errors.Join(errs...)
}
