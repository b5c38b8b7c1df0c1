package install

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/oned"
)

// Where OpenNebula and the plugin keep what the plugin's installation touches.
const (
	onedConf   = "/etc/one/oned.conf"
	execRC     = "/etc/one/vmm_exec/vmm_execrc"
	remotes    = "/var/lib/one/remotes"
	downloader = remotes + "/datastore/downloader.sh"
	pluginDiff = remotes + "/datastore/vitastor/downloader-vitastor.sh.diff"
	apparmor   = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
	// VitastorConf is the client configuration that drivers use unless a datastore's VITASTOR_CONF names another one.
	VitastorConf = "/etc/vitastor/vitastor.conf"
)

// VitastorOptions are the choices that the plugin's installation leaves.
type VitastorOptions struct {
	// SaveRestore also keeps memory snapshots of VMs in Vitastor.
	SaveRestore bool
	// Confs are the paths of all client configurations that datastores name in VITASTOR_CONF. Empty: VitastorConf.
	Confs []string
	// Source holds remotes/ and sudoers.d/ of the plugin's source tree. Nil where the package vitastor-opennebula was installed,
	// which is the better way: dpkg and rpm then know whose files these are.
	Source fs.FS
}

// VitastorEdits lists what the plugin needs on every machine with OpenNebula's files, in the order of its manual. The vendor's
// installer makes the same edits, but completely only on OpenNebula 6.7.80 to 6.10; these work on 5.8 to 7.x.
//
// downloaderDiff is the plugin's own patch of downloader.sh (PluginDiff reads it): its text goes in, at anchors of ours.
func VitastorEdits(opt VitastorOptions, downloaderDiff []byte) ([]Edit, error) {
	edits, err := pluginFiles(opt.Source)
	if err != nil {
		return nil, err
	}
	blocks := added(downloaderDiff)
	edits = append(edits,
		Edit{Name: "downloader.sh: function", Path: downloader, Change: insertFunction(blocks)},
		Edit{Name: "downloader.sh: vitastor:// URLs", Path: downloader, Change: insertCase(blocks)},
		Edit{Name: "live disk snapshots", Path: execRC, Change: addToRC("LIVE_DISK_SNAPSHOTS", "kvm-vitastor")})
	confs := opt.Confs
	if len(confs) == 0 {
		confs = []string{VitastorConf}
	}
	for _, c := range confs {
		edits = append(edits, Edit{Name: "AppArmor: " + c, Path: apparmor, Change: allowRead(c), Create: 0o644,
			When: "/etc/apparmor.d/abstractions/libvirt-qemu"})
	}
	return append(edits, onedEdits(opt)...), nil
}

// pluginFiles turns the plugin's source tree into edits. Some of its scripts are links to those of the driver for Ceph.
func pluginFiles(source fs.FS) ([]Edit, error) {
	if source == nil {
		return []Edit{{Name: "the plugin's scripts", Path: remotes + "/tm/vitastor/clone", Create: 0o755, Change: present}}, nil
	}
	var edits []Edit
	for dir, to := range map[string]string{"remotes": remotes, "sudoers.d": "/etc/sudoers.d"} {
		err := fs.WalkDir(source, dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			e, err := pluginFile(source, p, d)
			e.Path = to + strings.TrimPrefix(p, dir)
			edits = append(edits, e)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot read the plugin's source: %w", err)
		}
	}
	slices.SortFunc(edits, func(a, b Edit) int { return strings.Compare(a.Path, b.Path) })
	return edits, nil
}

// pluginFile keeps what can be executed so. A file for sudo is 0440: sudo ignores one that others can write.
func pluginFile(source fs.FS, name string, d fs.DirEntry) (Edit, error) {
	if d.Type()&fs.ModeSymlink != 0 {
		to, err := fs.ReadLink(source, name)
		return Edit{Name: name, Link: to}, err
	}
	info, err := d.Info()
	if err != nil {
		return Edit{}, err
	}
	mode := fs.FileMode(0o644)
	switch {
	case strings.HasPrefix(name, "sudoers.d/"):
		mode = 0o440
	case info.Mode()&0o111 != 0:
		mode = 0o755
	}
	data, err := fs.ReadFile(source, name)
	return Edit{Name: name, Create: mode, Change: func([]byte) ([]byte, error) { return data, nil }}, err
}

// present is the edit of a file that must be there already.
func present(data []byte) ([]byte, error) {
	if data == nil {
		return nil, errors.New("the file is not there\nhint: install the package vitastor-opennebula first")
	}
	return data, nil
}

// onedEdits are those of oned.conf.
func onedEdits(opt VitastorOptions) []Edit {
	var edits []Edit
	add := func(name string, f func([]byte) ([]byte, error)) {
		edits = append(edits, Edit{Name: name, Path: onedConf, Change: f})
	}
	actions := []string{"deploy"}
	if opt.SaveRestore {
		actions = append(actions, "save", "restore")
	}
	for _, a := range actions {
		add("VM_MAD kvm: "+a, func(d []byte) ([]byte, error) {
			return oned.AddOverride(d, "VM_MAD[NAME=kvm]", a, a+".vitastor")
		})
	}
	add("TM_MAD -d", addDriver("TM_MAD/ARGUMENTS", "-d", ""))
	add("DATASTORE_MAD -d", addDriver("DATASTORE_MAD/ARGUMENTS", "-d", ""))
	add("DATASTORE_MAD -s", addDriver("DATASTORE_MAD/ARGUMENTS", "-s", "shared,ssh,ceph"))
	for _, v := range []string{"VITASTOR_CONF", "IMAGE_PREFIX"} {
		add("INHERIT_DATASTORE_ATTR "+v, func(d []byte) ([]byte, error) {
			return oned.Add(d, oned.Attr{Name: "INHERIT_DATASTORE_ATTR", Value: v})
		})
	}
	add("TM_MAD_CONF vitastor", addVector("TM_MAD_CONF", tmMadConf))
	add("DS_MAD_CONF vitastor", addVector("DS_MAD_CONF", dsMadConf))
	return edits
}

// The two vectors as the plugin's manual prints them.
const (
	tmMadConf = `TM_MAD_CONF = [ NAME = "vitastor", LN_TARGET = "NONE", CLONE_TARGET = "SELF", SHARED = "YES", DS_MIGRATE = "NO",
 DRIVER = "raw", ALLOW_ORPHANS = "format", TM_MAD_SYSTEM = "ssh,shared", LN_TARGET_SSH = "SYSTEM", CLONE_TARGET_SSH = "SYSTEM",
 DISK_TYPE_SSH = "FILE", LN_TARGET_SHARED = "NONE", CLONE_TARGET_SHARED = "SELF", DISK_TYPE_SHARED = "FILE" ]`
	dsMadConf = `DS_MAD_CONF = [ NAME = "vitastor", REQUIRED_ATTRS = "DISK_TYPE,BRIDGE_LIST", PERSISTENT_ONLY = "NO",
 MARKETPLACE_ACTIONS = "export" ]`
)

// addDriver puts vitastor into a driver list. Without the option the driver has a default: none for -d, which means every
// installed one; for -s the given list, to which vitastor must be added.
func addDriver(key, option, def string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		out, err := oned.AddWord(data, key, option, "vitastor")
		if !errors.Is(err, text.ErrNoKey) {
			return out, err
		}
		if _, ok, err := oned.Codec().Get(data, key); !ok || err != nil {
			return nil, errors.Join(err, fmt.Errorf("there is no %s", key))
		}
		if def == "" {
			return nil, Kept("no " + option + " in " + key + ", so every installed driver is served")
		}
		return oned.Edit(data, key, func(args string) (string, error) {
			return strings.TrimRight(args, " ") + " " + option + " " + def + ",vitastor", nil
		})
	}
}

// addVector adds a vector by its NAME. One that is there stays as it is, and what differs is said.
func addVector(name, want string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		w, err := oned.Parse([]byte(want))
		if err != nil {
			return nil, err
		}
		have, err := oned.Parse(data)
		if err != nil {
			return nil, err
		}
		for _, a := range have.Named(name) {
			if n, _ := a.Get("NAME"); n == "vitastor" {
				return data, differences(a, w.Attrs[0])
			}
		}
		return oned.Add(data, w.Attrs[0])
	}
}

func differences(have, want oned.Attr) error {
	var diff []string
	for _, p := range want.Pairs {
		if v, _ := have.Get(p.Name); v != p.Value {
			diff = append(diff, fmt.Sprintf("%s is %q instead of %q", p.Name, v, p.Value))
		}
	}
	if diff == nil {
		return nil
	}
	return Kept(strings.Join(diff, ", "))
}
