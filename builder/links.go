package builder

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"

	"goldsmith/builder/recipe"
	"goldsmith/builder/vm"
	"goldsmith/firstboot/identity"
)

// links are what a machine calls its network.
type links struct {
	Interface string         `json:"interface"` // that carries the address: a NIC, or a bridge over it
	NICs      []identity.NIC `json:"nics"`
	MachineID string         `json:"machine_id"`
	Hostname  string         `json:"hostname"` // with its domain, where it has one
}

// nic is the name of the one that came with the machine.
func (l links) nic() string {
	for _, n := range l.NICs {
		if n.MAC == identity.Marker().MAC("") {
			return n.Name
		}
	}
	return l.Interface
}

// linksScript prints "nic NAME MAC", "address NAME ADDRESS/LEN" "machine ID" and "name NAME" lines.
const linksScript = `for d in /sys/class/net/*/device; do
	[ -e "$d" ] || continue
	n=${d%/device}
	echo "nic ${n##*/} $(cat "$n/address")"
done
ip -o -4 address show | while read -r _ name _ address _; do echo "address $name $address"; done
echo "machine $(cat /etc/machine-id)"
echo "name $(cat /etc/hostname)"
`

// findLinks asks the machine.
func findLinks(ctx context.Context, m *vm.Machine) (links, error) {
	var out bytes.Buffer
	if err := m.Run(ctx, recipe.Shell(), linksScript, &out); err != nil {
		return links{}, fmt.Errorf("cannot list the machine's links: %w", err)
	}
	return parseLinks(out.String(), identity.Marker().Address)
}

// parseLinks reads what linksScript prints. The interface is the one that has the address at.
func parseLinks(text string, at netip.Addr) (links, error) {
	var l links
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) == 3 && f[0] == "nic":
			l.NICs = append(l.NICs, identity.NIC{Name: f[1], MAC: strings.ToLower(f[2])})
		case len(f) == 3 && f[0] == "address":
			if p, err := netip.ParsePrefix(f[2]); err == nil && p.Addr() == at {
				l.Interface = f[1]
			}
		case len(f) == 2 && f[0] == "machine":
			l.MachineID = f[1]
		case len(f) == 2 && f[0] == "name":
			l.Hostname = f[1]
		}
	}
	if l.Interface == "" || len(l.NICs) == 0 {
		return l, fmt.Errorf("cannot find the machine's network: no link has the address %s, or none is a device:\n%s", at, text)
	}
	return l, nil
}
