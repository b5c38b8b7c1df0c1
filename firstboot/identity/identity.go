// Package identity holds the two values that the builder and firstboot share: who a machine is, and who it was when its
// image was baked. Data only; it imports nothing of goldsmith.
package identity

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// ImprintFormat is the number that an Imprint of this version carries. A firstboot refuses a number that it does not know.
const ImprintFormat = 1

// Where both programs find each other's files on the clone, below its root.
const (
	StateDir    = "/var/lib/goldsmith"          // 0700, all files in it 0600
	ImprintFile = "/etc/goldsmith/imprint.json" // written by bake and adopt, never by firstboot
	ClaimFile   = "/etc/goldsmith/identity.json"
	ReportFile  = StateDir + "/report.json"
	ReportText  = StateDir + "/report.txt"
	StateFile   = StateDir + "/state.json"
	JournalFile = StateDir + "/journal"
	SecretsFile = StateDir + "/secrets.json"           // the clone's own passwords, for its administrator
	ReportPort  = "/dev/virtio-ports/goldsmith.report" // of a virtual machine whose host wants each report as a line of JSON
	Binary      = "/usr/lib/goldsmith/firstboot"
	Credential  = "goldsmith.identity" // systemd credential (SMBIOS type 11, nspawn --set-credential) that holds a Claim
)

// Controller is what all nodes of a cluster call the one that they join: the name of the peer that a compute is told.
const Controller = "controller"

// An Identity is all that must differ between two clones on one VLAN. The zero value of a field means "not known (yet)":
// before the lease there is no address.
type Identity struct {
	Hostname  string     `json:"hostname,omitempty"`  // short name, no dot
	Domain    string     `json:"domain,omitempty"`    // the rest of the FQDN, without the leading dot
	Interface string     `json:"interface,omitempty"` // link that carries the public face: a NIC, or a bridge such as br-ex
	Address   netip.Addr `json:"address,omitzero"`    // IPv4 of the public face, or IPv6 where there is no IPv4
	Address6  netip.Addr `json:"address6,omitzero"`   // global IPv6 of the public face beside an IPv4
	PrefixLen int        `json:"prefix_len,omitempty"`
	NICs      []NIC      `json:"nics,omitempty"` // physical (or virtio, veth) links, in the order of their names
	MachineID string     `json:"machine_id,omitempty"`
	SystemID  string     `json:"system_uuid,omitempty"` // SMBIOS product_uuid; empty in containers
	BaseMAC   string     `json:"base_mac,omitempty"`    // prefix of MACs given to nested VMs, as neutron's base_mac
	Prefix    string     `json:"prefix,omitempty"`      // datastore and pool image prefix
	// Peers are other nodes of the same cluster, by their internal name: a controller for its computes and the reverse.
	Peers map[string]netip.Addr `json:"peers,omitempty"`
}

// A NIC is one link with a hardware address of its own.
type NIC struct {
	Name string `json:"name"`
	MAC  string `json:"mac"` // lower case, colons
}

// FQDN returns the host name with its domain where there is one.
func (id Identity) FQDN() string {
	if id.Domain == "" || id.Hostname == "" {
		return id.Hostname
	}
	return id.Hostname + "." + id.Domain
}

// MAC returns the hardware address of the named link, or of the first NIC when name is empty or not a NIC (a bridge takes
// the address of the NIC below it).
func (id Identity) MAC(name string) string {
	for _, n := range id.NICs {
		if n.Name == name {
			return n.MAC
		}
	}
	if len(id.NICs) > 0 {
		return id.NICs[0].MAC
	}
	return ""
}

// An Imprint says who the machine was when it was baked, and what is inside. The builder writes it, firstboot reads it.
type Imprint struct {
	Format int       `json:"format"`
	Image  string    `json:"image"`            // name of the golden image
	Recipe string    `json:"recipe,omitempty"` // sha256 of the recipe; empty for an adopted image
	Baked  Identity  `json:"baked"`
	Stacks []string  `json:"stacks"` // names of rewriters, as firstboot list prints them
	Policy Policy    `json:"policy"`
	Made   time.Time `json:"made,omitzero"`
}

// A Policy is what the recipe decided about identities that have more than one right answer.
type Policy struct {
	Hostname  HostnamePolicy  `json:"hostname,omitempty"`
	Endpoints EndpointsPolicy `json:"endpoints,omitempty"`
	// Secrets that stay as baked, by name ("mysql/nova"), or "all".
	KeepSecrets []string `json:"keep_secrets,omitempty"`
	// PublicInterface carries the public face on the clone; empty: the link of the default route.
	PublicInterface string `json:"public_interface,omitempty"`
	// LeaseTimeout is how long the stack phase waits for an address. Zero: 120 s.
	LeaseTimeout Duration `json:"lease_timeout,omitempty"`
	// Disk says what a clone does when its disk is larger than the image's; empty: it grows.
	Disk DiskPolicy `json:"disk,omitempty"`
	// Optional names changes ("kind:where") that may find nothing.
	Optional []string `json:"optional,omitempty"`
}

// HostnamePolicy says what becomes of the internal host name when nobody gives the clone one.
type HostnamePolicy string

// The two host name policies.
const (
	KeepHostname    HostnamePolicy = "keep"     // all clones share the internal name: right for all-in-one clouds
	HostnameFromMAC HostnamePolicy = "from-mac" // name-<last three octets of the MAC>
)

// EndpointsPolicy says which rows of keystone's catalogue follow the public face.
type EndpointsPolicy string

// The two endpoint policies.
const (
	PublicEndpoints EndpointsPolicy = "public" // internal and admin stay where they are
	AllEndpoints    EndpointsPolicy = "all"
)

// DiskPolicy says what becomes of a disk that is larger than the image.
type DiskPolicy string

// The two disk policies.
const (
	GrowDisk DiskPolicy = "grow" // the last partition, LVM and the root file system take all of it
	KeepDisk DiskPolicy = "keep" // the room stays free
)

// A Duration is a time.Duration that is written as a string ("90s") in JSON and YAML.
type Duration time.Duration

// MarshalText writes the duration as time.Duration prints it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// A Claim is what a clone is told about itself from outside, by whichever source answers first. Every field may be absent.
type Claim struct {
	Hostname  string                `json:"hostname,omitempty"` // "name" or "name.domain"
	Instance  string                `json:"instance,omitempty"` // changes when the clone shall be a new one
	Interface string                `json:"interface,omitempty"`
	Prefix    string                `json:"prefix,omitempty"`
	Peers     map[string]netip.Addr `json:"peers,omitempty"`
	PhoneHome string                `json:"phone_home,omitempty"` // URL that gets the report by POST
	// Cluster is a secret that all nodes of one cluster are told: the passwords of the accounts that they share come from it.
	Cluster   string `json:"cluster,omitempty"`
	MachineID string `json:"-"` // of an identity that is given whole; any other clone makes its own
}

// CheckSecret takes a cluster's secret that nobody guesses. No error repeats it.
func CheckSecret(v string) error {
	const least, most = 16, 128
	if len(v) < least || len(v) > most {
		return fmt.Errorf("want %d to %d characters, not %d", least, most, len(v))
	}
	if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("want printable ASCII without blanks")
	}
	return nil
}
