package firstboot

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// label is a host name's label (RFC 1123).
var label = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// resolve makes the clone's identity out of what the machine is, what it is told, and what the imprint decided.
func resolve(imp *identity.Imprint, st *State, machine identity.Identity, claim identity.Claim) (identity.Identity, error) {
	id := machine
	id.Hostname, id.Domain = internalName(imp)
	switch {
	case claim.Hostname != "":
		id.Hostname, id.Domain, _ = strings.Cut(strings.TrimSuffix(claim.Hostname, "."), ".")
		if id.Domain == "" {
			_, id.Domain = internalName(imp)
		}
	case imp.Policy.Hostname == identity.HostnameFromMAC:
		id.Hostname = nameFromMAC(id.Hostname, machine)
	}
	if err := checkName(id.FQDN()); err != nil {
		return id, report.Faultf(report.Usage, "cannot use host name %q: %w", id.FQDN(), err)
	}
	id.Interface = firstOf(claim.Interface, publicLink(imp, machine.NICs))
	id.Prefix = firstOf(claim.Prefix, id.Prefix)
	id.Peers = claim.Peers
	switch {
	case claim.MachineID != "":
		id.MachineID = claim.MachineID
	case oldMachineID(imp, st, machine):
		id.MachineID = hex.EncodeToString(machineIDFrom(st))
	}
	return id, nil
}

// publicLink returns the link of the public face as this machine calls it. A recipe names a bridge, which clones keep, or a
// NIC, which another hypervisor may show under another name.
func publicLink(imp *identity.Imprint, nics []identity.NIC) string {
	name := imp.Policy.PublicInterface
	renamed, err := identity.Renames(imp.Baked.NICs, nics, name, "")
	if to, ok := renamed[name]; ok && err == nil {
		return to
	}
	return name
}

// internalName returns the name that all clones of the image share when nobody gives them one. An image that was baked
// under the marker identity has no name of its own in it; its clones are called after the image.
func internalName(imp *identity.Imprint) (name, domain string) {
	if imp.Baked.Hostname != identity.Marker().Hostname {
		return imp.Baked.Hostname, imp.Baked.Domain
	}
	return notLabel.ReplaceAllString(imp.Image, "-"), ""
}

// notLabel is what an image's name may have and a host name may not.
var notLabel = regexp.MustCompile(`[^A-Za-z0-9-]+`)

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// nameFromMAC returns name-<last three octets>.
func nameFromMAC(name string, machine identity.Identity) string {
	mac := strings.ReplaceAll(machine.MAC(""), ":", "")
	if len(mac) != 12 {
		return name
	}
	return name + "-" + mac[6:]
}

func checkName(fqdn string) error {
	if len(fqdn) > 253 {
		return fmt.Errorf("%d characters, 253 is the limit", len(fqdn))
	}
	for l := range strings.SplitSeq(fqdn, ".") {
		if !label.MatchString(l) {
			return fmt.Errorf("%q is not letters, digits and inner hyphens, 1 to 63 of them", l)
		}
	}
	return nil
}

// oldMachineID tells whether the machine id belongs to the golden image or to an earlier life of this disk.
func oldMachineID(imp *identity.Imprint, st *State, machine identity.Identity) bool {
	id := machine.MachineID
	return id != "" && (id == imp.Baked.MachineID || slices.Contains(st.Lives, id))
}

// machineIDFrom derives a machine id in the form of a version 4 UUID, as machine-id(5) recommends.
func machineIDFrom(st *State) []byte {
	b := st.Seed.Bytes("machine-id", 16)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return b
}
