// Package inspect looks into the root tree of a machine that does not run and says what it is: its system, how it comes
// by its addresses, which cloud stacks are in it, and what firstboot would own there. It changes nothing and believes
// nothing: every file that it reads is untrusted.
package inspect

import (
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// A Machine is what was found.
type Machine struct {
	OS        OS                `json:"os"`
	Kernels   []string          `json:"kernels,omitempty"` // versions in /boot
	Hostname  string            `json:"hostname,omitempty"`
	MachineID string            `json:"machine_id"` // "set", "uninitialized", "empty" or "missing"
	Network   []Finding         `json:"network,omitempty"`
	DHCP      []Finding         `json:"dhcp,omitempty"`
	Stacks    []Finding         `json:"stacks,omitempty"` // empty: a plain machine
	Obstacles []Obstacle        `json:"obstacles,omitempty"`
	Addresses []Place           `json:"addresses,omitempty"`
	MACs      []Place           `json:"macs,omitempty"`
	Imprint   *identity.Imprint `json:"imprint,omitempty"`
	Firstboot bool              `json:"firstboot"` // the binary is in it
	Owns      []Owned           `json:"owns,omitempty"`
}

// An OS is what os-release says.
type OS struct {
	ID      string `json:"id,omitempty"`
	Version string `json:"version,omitempty"`
	Name    string `json:"name,omitempty"`
}

// A Finding is something that was recognised, and by what.
type Finding struct {
	Name string `json:"name"`
	By   string `json:"by"` // path
}

// An Obstacle is why a machine must not be cloned at all.
type Obstacle struct {
	Name string `json:"name"`
	By   string `json:"by"` // path
	Why  string `json:"why"`
	Hint string `json:"hint"`
}

// obstacles lists what makes a machine one of a kind.
func obstacles(root *tree.FS) []Obstacle {
	var list []Obstacle
	for _, f := range find(root, []mark{{"hosted-engine", "etc/ovirt-hosted-engine/hosted-engine.conf", ""}}) {
		list = append(list, Obstacle{Name: f.Name, By: f.By,
			Why: "it is a host of a hosted oVirt engine: its sanlock host id and the UUIDs of the shared storage are one machine's, and a second host with them breaks " +
				"the leases that keep a VM from running twice",
			Hint: "make the image of a host before hosted-engine --deploy (recipe ovirt-host), and deploy each clone"})
	}
	return list
}

// A Place is a value and where it stands.
type Place struct {
	Value string `json:"value"`
	Where string `json:"where"` // path:line
}

// An Owner is a rewriter of firstboot: its name and the files (paths or globs) that it writes.
type Owner struct {
	Name  string
	Base  bool // runs on every machine
	Files []string
}

// Owned is a file of this machine that a rewriter would write.
type Owned struct {
	By   string `json:"by"`
	File string `json:"file"`
}

// Tree inspects a root tree.
func Tree(root *tree.FS, owners []Owner) Machine {
	m := Machine{OS: osRelease(root), Kernels: kernels(root), Hostname: firstLine(root, "etc/hostname"),
		MachineID: machineID(root), Firstboot: root.Exists(identity.Binary)}
	if m.Hostname == "" {
		m.Hostname = shellValue(root, "etc/sysconfig/network", "HOSTNAME")
	}
	m.Network = find(root, networkMarks)
	m.DHCP = dhcp(root, m.Network)
	m.Stacks = find(root, stackMarks)
	m.Obstacles = obstacles(root)
	m.Addresses, m.MACs = addresses(root)
	if b, err := root.ReadFile(identity.ImprintFile); err == nil {
		var i identity.Imprint
		if json.Unmarshal(b, &i) == nil {
			m.Imprint = &i
		}
	}
	m.Owns = owned(root, owners)
	return m
}

// osRelease reads NAME=value lines, quoted or not.
func osRelease(root *tree.FS) OS {
	name := "etc/os-release"
	if !root.Exists(name) {
		name = "usr/lib/os-release"
	}
	return OS{ID: shellValue(root, name, "ID"), Version: shellValue(root, name, "VERSION_ID"), Name: shellValue(root, name, "PRETTY_NAME")}
}

// shellValue reads one assignment of a file in the shell's form; the last one counts.
func shellValue(root *tree.FS, file, key string) string {
	b, err := root.ReadFile(file)
	if err != nil {
		return ""
	}
	var value string
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			value = strings.Trim(v, `"'`)
		}
	}
	return value
}

func firstLine(root *tree.FS, file string) string {
	b, err := root.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return line
}

func machineID(root *tree.FS) string {
	b, err := root.ReadFile("etc/machine-id")
	text := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		return "missing"
	case text == "":
		return "empty"
	case text == "uninitialized":
		return text
	}
	return "set"
}

func kernels(root *tree.FS) []string {
	names, err := fs.Glob(root, "boot/vmlinuz-*")
	if err != nil {
		return nil
	}
	var list []string
	for _, n := range names {
		list = append(list, strings.TrimPrefix(path.Base(n), "vmlinuz-"))
	}
	return list
}

// A mark is a path, or a glob, that gives something away.
type mark struct {
	name, glob string
	needs      string // text that one of the files must contain; "" for none
}

// networkMarks are the ways to configure a network, by the files that only they read.
var networkMarks = []mark{
	{"netplan", "etc/netplan/*.yaml", ""},
	{"NetworkManager", "etc/NetworkManager/system-connections/*", ""},
	{"NetworkManager", "etc/systemd/system/multi-user.target.wants/NetworkManager.service", ""},
	{"systemd-networkd", "etc/systemd/network/*.network", ""},
	{"ifupdown", "etc/network/interfaces", "iface"},
	{"ifcfg", "etc/sysconfig/network-scripts/ifcfg-*", "DEVICE"},
	{"cloud-init", "etc/cloud/cloud.cfg", ""},
	{"openvswitch bridge", "etc/sysconfig/network-scripts/ifcfg-br-ex", ""},
	{"one-context", "etc/one-context.d", ""},
}

// stackMarks are the cloud stacks and what they are built of.
var stackMarks = []mark{
	{"packstack", "root/packstack-answers-*.txt", ""},
	{"packstack", "root/keystonerc_admin", ""},
	{"keystone", "etc/keystone/keystone.conf", ""},
	{"glance", "etc/glance/glance-api.conf", ""},
	{"placement", "etc/placement/placement.conf", ""},
	{"nova", "etc/nova/nova.conf", ""},
	{"neutron", "etc/neutron/neutron.conf", ""},
	{"cinder", "etc/cinder/cinder.conf", ""},
	{"heat", "etc/heat/heat.conf", ""},
	{"swift", "etc/swift/proxy-server.conf", ""},
	{"horizon", "etc/openstack-dashboard", ""},
	{"opennebula", "etc/one/oned.conf", ""},
	{"vitastor", "etc/vitastor/vitastor.conf", ""},
	{"ovirt", "etc/ovirt-engine", ""},
	{"vdsm", "etc/vdsm/vdsm.conf", ""},
	{"mariadb", "var/lib/mysql/ibdata1", ""},
	{"postgresql", "var/lib/p*gsql", ""},
	{"rabbitmq", "var/lib/rabbitmq", ""},
	{"openvswitch", "etc/openvswitch/conf.db", ""},
	{"libvirt", "etc/libvirt/libvirtd.conf", ""},
	{"ceph", "etc/ceph/ceph.conf", ""},
	{"kubernetes", "etc/kubernetes/manifests", ""},
}

// find lists what the marks give away, each name once.
func find(root *tree.FS, marks []mark) []Finding {
	var list []Finding
	for _, m := range marks {
		known := slices.ContainsFunc(list, func(f Finding) bool { return f.Name == m.name })
		if by := m.match(root); by != "" && !known {
			list = append(list, Finding{Name: m.name, By: "/" + by})
		}
	}
	return list
}

// match returns the first path that the mark matches.
func (m mark) match(root *tree.FS) string {
	names, err := fs.Glob(root, m.glob)
	if err != nil {
		return ""
	}
	for _, n := range names {
		if path.Base(n) == "ifcfg-lo" {
			continue
		}
		if m.needs == "" {
			return n
		}
		if b, err := root.ReadFile(n); err == nil && strings.Contains(string(b), m.needs) {
			return n
		}
	}
	return ""
}

// dhcpMarks are DHCP clients by their binaries.
var dhcpMarks = []mark{
	{"dhclient", "sbin/dhclient", ""}, {"dhclient", "usr/sbin/dhclient", ""},
	{"dhcpcd", "sbin/dhcpcd", ""}, {"dhcpcd", "usr/sbin/dhcpcd", ""},
	{"udhcpc", "sbin/udhcpc", ""},
}

// dhcp names the clients: those that are installed, and those that are part of a network manager which is used.
func dhcp(root *tree.FS, network []Finding) []Finding {
	list := find(root, dhcpMarks)
	for _, n := range network {
		switch n.Name {
		case "systemd-networkd", "NetworkManager":
			list = append(list, Finding{Name: n.Name + " (built in)", By: n.By})
		}
	}
	return list
}

// owned lists the files that rewriters would write: of those that run on every machine and of those whose stack is here,
// which is when they find a file.
func owned(root *tree.FS, owners []Owner) []Owned {
	var list []Owned
	for _, o := range owners {
		for _, glob := range o.Files {
			names, err := fs.Glob(root, strings.TrimPrefix(glob, "/"))
			if err != nil {
				continue
			}
			for _, n := range names {
				if w := (Owned{o.Name, "/" + n}); !slices.Contains(list, w) {
					list = append(list, w)
				}
			}
		}
	}
	return list
}
