package recipe

import (
	"fmt"
	"net/netip"
	"strings"
)

// An OpenNebula sets up a front-end, a node, or both in one, of which OpenNebula's packages are installed. Without a role it only
// edits files, and starts nothing.
type OpenNebula struct {
	Release    string           `yaml:"release" json:"release,omitempty" pattern:"^[5-9]\\.[0-9]{1,2}$" doc:"series, such as \"6.10\"; needed with role and autostart"`
	Role       string           `yaml:"role" json:"role,omitempty" enum:"frontend,node,aio" doc:"what the machine is: a front-end, a node, or both"`
	Database   string           `yaml:"database" json:"database,omitempty" enum:"mariadb,sqlite" doc:"where oned keeps its state; default what its package chose, sqlite"`
	Hosts      []string         `yaml:"hosts" json:"hosts,omitempty" pattern:"^[A-Za-z0-9.:-]{2,63}$" doc:"nodes that oned shall know; localhost is this machine, whatever a clone is called"`
	Datastores []Datastore      `yaml:"datastores" json:"datastores,omitempty" doc:"beside the three that oned makes; they get the ids 100, 101 ..."`
	Networks   []VirtualNetwork `yaml:"networks" json:"networks,omitempty" doc:"virtual networks for guests"`
	Autostart  bool             `yaml:"autostart" json:"autostart,omitempty" doc:"VMs with AUTOSTART=yes start again after their host or the cloud went down; one that its user stopped stays stopped"`
	Mounts     []StoreMount     `yaml:"mounts" json:"mounts,omitempty" doc:"file systems below /var/lib/one/datastores"`
	Volumes    []Volume         `yaml:"volumes" json:"volumes,omitempty" doc:"logical volumes with XFS for local datastores, made when a clone first boots and grown when it gets another disk"`
	Bridges    []HostBridge     `yaml:"bridges" json:"bridges,omitempty" doc:"bridges of a node, for its guests"`
	Tuning     bool             `yaml:"tuning" json:"tuning,omitempty" doc:"faster defaults for new KVM machines: guest agent, native AIO, discard, virtio"`
	Vitastor   *Vitastor        `yaml:"vitastor" json:"vitastor,omitempty" doc:"the edits of Vitastor's plugin, whose package is installed"`
	Lockdown   *Lockdown        `yaml:"lockdown" json:"lockdown,omitempty" doc:"keep guests on a plain bridge away from the storage network"`
}

// The roles of a machine in an OpenNebula.
const (
	RoleFrontEnd = "frontend"
	RoleNode     = "node"
	RoleAIO      = "aio"
)

// HasFrontEnd says whether oned runs on the machine.
func (o *OpenNebula) HasFrontEnd() bool { return o.Role == RoleFrontEnd || o.Role == RoleAIO }

// Content says whether there is something that oned itself must make, so that it has to run in the bake.
func (o *OpenNebula) Content() bool {
	return len(o.Hosts)+len(o.Datastores)+len(o.Networks) > 0 || o.Autostart || o.Vitastor != nil && o.Vitastor.Pool != ""
}

// A Datastore is one of OpenNebula's.
type Datastore struct {
	Name       string   `yaml:"name" json:"name" pattern:"^[A-Za-z0-9 _.-]{1,128}$" doc:"shown in lists; it is made once per name"`
	Type       string   `yaml:"type" json:"type" enum:"image,system,file,backup" doc:"what it holds"`
	DSMad      string   `yaml:"ds_mad" json:"ds_mad,omitempty" pattern:"^[a-z0-9_]+$" doc:"driver of images: fs, ceph, vitastor; a system datastore has none"`
	TMMad      string   `yaml:"tm_mad" json:"tm_mad,omitempty" pattern:"^[a-z0-9_]+$" doc:"driver that brings disks to nodes: ssh, shared, qcow2, local"`
	Attributes []string `yaml:"attributes" json:"attributes,omitempty" pattern:"^[A-Z0-9_]+=[^\\n]*$" doc:"the drivers' own, as NAME=value"`
}

// Pairs are the attributes as names and values.
func (d Datastore) Pairs() [][2]string {
	var out [][2]string
	for _, a := range d.Attributes {
		name, value, _ := strings.Cut(a, "=")
		out = append(out, [2]string{name, value})
	}
	return out
}

// A VirtualNetwork is a network that guests get interfaces on. It has no MACs: oned makes them under the clone's own prefix.
type VirtualNetwork struct {
	Name    string       `yaml:"name" json:"name" pattern:"^[A-Za-z0-9 _.-]{1,128}$" doc:"it is made once per name"`
	Driver  string       `yaml:"driver" json:"driver" enum:"bridge,fw,802.1Q,vxlan,ovswitch,ovswitch_vxlan" doc:"fw is a bridge with security groups"`
	Bridge  string       `yaml:"bridge" json:"bridge,omitempty" doc:"bridge, fw, ovswitch: the bridge or switch that is on every node"`
	Link    string       `yaml:"link" json:"link,omitempty" doc:"802.1Q, vxlan, ovswitch_vxlan: the link below, on every node"`
	VLAN    int          `yaml:"vlan" json:"vlan,omitempty" doc:"its number; without one, oned chooses where the driver can"`
	Filter  bool         `yaml:"filter" json:"filter,omitempty" doc:"guests may use no addresses and MACs but their own (not with bridge)"`
	First   netip.Addr   `yaml:"first" json:"first,omitzero" doc:"first address of guests; without one they get addresses elsewhere"`
	Size    int          `yaml:"size" json:"size,omitempty" doc:"how many addresses; default 254"`
	Network netip.Prefix `yaml:"network" json:"network,omitzero" doc:"that the addresses are of"`
	Gateway netip.Addr   `yaml:"gateway" json:"gateway,omitzero" doc:"of the network"`
	DNS     []netip.Addr `yaml:"dns" json:"dns,omitempty" doc:"name servers of guests"`
}

// A StoreMount is what the directory of a datastore is made of on this machine.
type StoreMount struct {
	Datastore int    `yaml:"datastore" json:"datastore" doc:"id: 0 system, 1 images, 2 files; those of the recipe from 100"`
	Source    string `yaml:"source" json:"source" pattern:"^[^\\s]+$" doc:"such as nas:/export/one/100 or UUID=..."`
	Type      string `yaml:"type" json:"type" enum:"nfs,nfs4,ceph,glusterfs,xfs,ext4" doc:"file system"`
	Options   string `yaml:"options" json:"options,omitempty" pattern:"^[^\\s]+$" doc:"default: those that suit the type"`
}

// A Volume is a logical volume with XFS for a local datastore.
type Volume struct {
	Datastore int      `yaml:"datastore" json:"datastore" doc:"id of the datastore"`
	Group     string   `yaml:"group" json:"group,omitempty" pattern:"^[a-z][a-z0-9_]{0,30}$" doc:"volume group; default one"`
	Disks     []string `yaml:"disks" json:"disks" pattern:"^/dev/[A-Za-z0-9/_.:-]+$" doc:"empty disks of a clone, such as /dev/vdb; what is not there yet is taken when it comes"`
}

// A HostBridge is a bridge of the machine, on which guests of a bridged network hang.
type HostBridge struct {
	Name    string       `yaml:"name" json:"name" pattern:"^[A-Za-z0-9_.-]{1,15}$" doc:"such as br0"`
	Port    string       `yaml:"port" json:"port" pattern:"^[A-Za-z0-9_.-]{1,15}$" doc:"link below it; host0 is that of a clone without virtualization"`
	Manager string       `yaml:"manager" json:"manager" enum:"networkd,netplan,ifupdown" doc:"who makes it"`
	DHCP    bool         `yaml:"dhcp" json:"dhcp,omitempty" doc:"it has the machine's address"`
	Address netip.Prefix `yaml:"address" json:"address,omitzero" doc:"fixed address with length; neither: a bridge for guests only"`
	Gateway netip.Addr   `yaml:"gateway" json:"gateway,omitzero" doc:"default route"`
	DNS     []netip.Addr `yaml:"dns" json:"dns,omitempty" doc:"name servers of the machine"`
}

// A Vitastor is what the plugin leaves to choose.
type Vitastor struct {
	SaveRestore bool     `yaml:"save_restore" json:"save_restore,omitempty" doc:"memory snapshots of machines go to Vitastor, too"`
	Confs       []string `yaml:"confs" json:"confs,omitempty" pattern:"^/[^\\n]+$" doc:"client configurations that datastores name; default /etc/vitastor/vitastor.conf"`
	Pool        string   `yaml:"pool" json:"pool,omitempty" pattern:"^[A-Za-z0-9_.-]+$" doc:"make an image and a system datastore on this pool"`
	Prefix      string   `yaml:"prefix" json:"prefix,omitempty" pattern:"^[A-Za-z0-9_-]+$" doc:"of images; every clone gets its own; default one"`
	Bridges     []string `yaml:"bridges" json:"bridges,omitempty" pattern:"^[A-Za-z0-9.:-]+$" doc:"hosts that reach the cluster; needed with pool"`
	StagingDir  string   `yaml:"staging_dir" json:"staging_dir,omitempty" pattern:"^/[^\\s]+$" doc:"where downloaded images wait; default /var/tmp"`
	StagingRoom Size     `yaml:"staging_room" json:"staging_room,omitempty" doc:"free space that it must have, such as 20G: that of the largest image, twice when it is packed"`
}

// A Lockdown names the two networks that must not meet.
type Lockdown struct {
	Bridge  string         `yaml:"bridge" json:"bridge,omitempty" doc:"the guests' bridge; default every bridge"`
	Uplinks []string       `yaml:"uplinks" json:"uplinks,omitempty" doc:"ports of the bridge that lead out of the host"`
	Guests  []netip.Prefix `yaml:"guests" json:"guests,omitempty" doc:"networks of which guests may use addresses"`
	Storage []netip.Prefix `yaml:"storage" json:"storage,omitempty" doc:"networks of hypervisors and storage"`
}

// check finds what a field alone does not show.
func (o *OpenNebula) check(s *shape, p string) {
	s.need(o.Role != "" || o.Tuning || o.Vitastor != nil || o.Lockdown != nil || len(o.Bridges)+len(o.Mounts)+len(o.Volumes) > 0, p)
	s.need(o.Release != "" || o.Role == "" && !o.Autostart, p+".release")
	if !o.HasFrontEnd() {
		front := map[string]bool{"hosts": o.Hosts != nil, "datastores": o.Datastores != nil, "networks": o.Networks != nil,
			"autostart": o.Autostart, "database": o.Database != ""}
		s.none(p, "needs role frontend or aio", front)
	}
	if v := o.Vitastor; v != nil {
		s.none(p+".vitastor", "needs pool", map[string]bool{"prefix": v.Pool == "" && v.Prefix != "", "bridges": v.Pool == "" && v.Bridges != nil,
			"staging_dir": v.Pool == "" && v.StagingDir != "", "staging_room": v.Pool == "" && v.StagingRoom > 0})
		s.need(v.Pool == "" || len(v.Bridges) > 0, p+".vitastor.bridges")
		s.none(p+".vitastor", "needs role frontend or aio", map[string]bool{"pool": v.Pool != "" && !o.HasFrontEnd()})
	}
	for i, d := range o.Datastores {
		s.words(fmt.Sprintf("%s.datastores[%d]", p, i), map[string]string{"name": d.Name, "type": d.Type})
	}
	for i, n := range o.Networks {
		s.words(fmt.Sprintf("%s.networks[%d]", p, i), map[string]string{"name": n.Name, "driver": n.Driver})
	}
	for i, m := range o.Mounts {
		s.words(fmt.Sprintf("%s.mounts[%d]", p, i), map[string]string{"source": m.Source, "type": m.Type})
		s.need(s.has(fmt.Sprintf("%s.mounts[%d].datastore", p, i)), fmt.Sprintf("%s.mounts[%d].datastore", p, i))
	}
	for i, v := range o.Volumes {
		s.need(len(v.Disks) > 0, fmt.Sprintf("%s.volumes[%d].disks", p, i))
		s.need(s.has(fmt.Sprintf("%s.volumes[%d].datastore", p, i)), fmt.Sprintf("%s.volumes[%d].datastore", p, i))
	}
	for i, b := range o.Bridges {
		s.words(fmt.Sprintf("%s.bridges[%d]", p, i), map[string]string{"name": b.Name, "port": b.Port, "manager": b.Manager})
	}
}

// words wants settings that may not be left out.
func (s *shape) words(p string, values map[string]string) {
	for key, v := range values {
		s.need(v != "", p+"."+key)
	}
}
