package install

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"goldsmith/firstboot/text/oned"
)

// The types of datastore, as templates name them.
const (
	ImageStore  = "IMAGE_DS"
	SystemStore = "SYSTEM_DS"
	FileStore   = "FILE_DS"
	BackupStore = "BACKUP_DS"
)

// A Datastore is one of OpenNebula's.
type Datastore struct {
	Name  string
	Type  string
	DSMad string // driver of images: fs, ceph, vitastor; none for a system datastore
	TMMad string // driver that brings disks to nodes: ssh, shared, qcow2, local, ceph, vitastor
	// Attrs are the driver's own: POOL_NAME, BRIDGE_LIST, NFS_AUTO_HOST ...
	Attrs [][2]string
}

// Template renders it for onedatastore create, or one.datastore.allocate.
func (d Datastore) Template() (string, error) {
	pairs := [][2]string{{"NAME", d.Name}, {"TYPE", d.Type}}
	if d.Type != SystemStore { // oned: SYSTEM datastores cannot have DS_MAD defined
		pairs = append(pairs, [2]string{"DS_MAD", d.DSMad})
	}
	if d.Type != BackupStore {
		pairs = append(pairs, [2]string{"TM_MAD", d.TMMad})
	}
	return template(append(pairs, d.Attrs...))
}

// template writes single values in OpenNebula's language.
func template(pairs [][2]string) (string, error) {
	var out []byte
	for _, p := range pairs {
		var err error
		if out, err = oned.Add(out, oned.Attr{Name: p[0], Value: p[1]}); err != nil {
			return "", err
		}
	}
	return string(out), nil
}

// A VitastorStore is what the two datastores of one Vitastor pool have in common.
type VitastorStore struct {
	Pool       string   // POOL_NAME
	Prefix     string   // IMAGE_PREFIX: firstboot gives each clone its own
	Bridges    []string // BRIDGE_LIST: hosts that reach the cluster
	Conf       string   // VITASTOR_CONF; default VitastorConf
	StagingDir string   // STAGING_DIR: must hold a whole downloaded image; default /var/tmp
}

// Datastores are the image and the system datastore of the pool.
func (v VitastorStore) Datastores() ([]Datastore, error) {
	var errs []error
	if v.Pool == "" {
		errs = append(errs, errors.New("a datastore on Vitastor needs the name of its pool"))
	}
	if len(v.Bridges) == 0 {
		errs = append(errs, errors.New("a datastore on Vitastor needs the hosts that reach it"))
	}
	conf, staging, prefix := orElse(v.Conf, VitastorConf), orElse(v.StagingDir, "/var/tmp"), orElse(v.Prefix, "one")
	common := [][2]string{{"BRIDGE_LIST", strings.Join(v.Bridges, " ")}, {"POOL_NAME", v.Pool}, {"IMAGE_PREFIX", prefix},
		{"VITASTOR_CONF", conf}}
	image := append([][2]string{{"DISK_TYPE", "file"}, {"STAGING_DIR", staging}}, common...)
	return []Datastore{
		{Name: "Vitastor Images", Type: ImageStore, DSMad: "vitastor", TMMad: "vitastor", Attrs: image},
		{Name: "Vitastor System", Type: SystemStore, TMMad: "vitastor", Attrs: common},
	}, errors.Join(errs...)
}

func orElse(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// CheckDatastores finds what will not work before anybody tries: drivers that oned.conf does not name, attributes that it
// requires, and system datastores to which no image datastore can bring a disk. All mistakes come at once.
func CheckDatastores(conf *oned.File, list []Datastore) error {
	var errs []error
	for _, d := range list {
		errs = append(errs, checkDrivers(conf, d))
		if d.Type == SystemStore && !slices.ContainsFunc(list, func(i Datastore) bool {
			return i.Type == ImageStore && Compatible(conf, i, d) == nil
		}) {
			errs = append(errs, fmt.Errorf("no image datastore can serve system datastore %s (%s)\nhint: add one with the driver %s",
				d.Name, d.TMMad, d.TMMad))
		}
	}
	return errors.Join(errs...)
}

// Compatible says why a VM with an image of one datastore cannot run on the other; nil if it can. The rule is oned's: the same
// driver, or the system's driver is in TM_MAD_SYSTEM of the image's. So shared takes images of shared only, ssh images are
// refused there, and qcow2 does not mix with shared.
func Compatible(conf *oned.File, image, system Datastore) error {
	if image.TMMad == system.TMMad {
		return nil
	}
	modes, _, err := conf.Get("TM_MAD_CONF[NAME=" + image.TMMad + "]/TM_MAD_SYSTEM")
	if err != nil {
		return err
	}
	for m := range strings.SplitSeq(modes, ",") {
		if strings.TrimSpace(m) == system.TMMad {
			return nil
		}
	}
	return fmt.Errorf("image datastore %s (%s) does not support transfer mode: %s", image.Name, image.TMMad, system.TMMad)
}

func checkDrivers(conf *oned.File, d Datastore) error {
	var errs []error
	if d.Type != BackupStore {
		errs = append(errs, named(conf, "TM_MAD_CONF", "TM_MAD", d.TMMad, d.Name))
	}
	if d.Type == SystemStore {
		if d.DSMad != "" {
			errs = append(errs, fmt.Errorf("system datastore %s cannot have a DS_MAD", d.Name))
		}
		return errors.Join(errs...)
	}
	errs = append(errs, named(conf, "DS_MAD_CONF", "DS_MAD", d.DSMad, d.Name))
	need, _, _ := conf.Get("DS_MAD_CONF[NAME=" + d.DSMad + "]/REQUIRED_ATTRS")
	for a := range strings.SplitSeq(need, ",") {
		a = strings.TrimSpace(a)
		if a != "" && !slices.ContainsFunc(d.Attrs, func(p [2]string) bool { return p[0] == a && p[1] != "" }) {
			errs = append(errs, fmt.Errorf("datastore %s needs %s", d.Name, a))
		}
	}
	return errors.Join(errs...)
}

func named(conf *oned.File, vector, what, driver, store string) error {
	if _, ok, err := conf.Get(vector + "[NAME=" + driver + "]/NAME"); ok || err != nil {
		return err
	}
	return fmt.Errorf("datastore %s: %s named %q is not defined in oned.conf", store, what, driver)
}

// A StoreMount is what a datastore's directory is made of on one machine.
type StoreMount struct {
	ID      int    // of the datastore: 0 system, 1 default, 2 files, new ones from 100
	Source  string // "nas:/export/one/100", "/dev/one/ds100", "UUID=..."
	Type    string // nfs, xfs, ext4
	Options string // default: those that suit the type
	Volume  bool   // the source is made by one-datastore-volume
}

// datastores is where oned looks unless DATASTORE_LOCATION says otherwise.
const datastores = "/var/lib/one/datastores"

// Unit renders the systemd mount unit and its name. Oned and libvirt wait for it (see StoreWaitEdits).
func (m StoreMount) Unit() (name, text string) {
	name = "var-lib-one-datastores-" + fmt.Sprint(m.ID) + ".mount"
	opts := m.Options
	switch {
	case opts != "":
	case strings.HasPrefix(m.Type, "nfs"):
		opts = "_netdev,soft,intr,rsize=32768,wsize=32768"
	default:
		opts = "noatime"
	}
	needs := ""
	if m.Volume { // without it the device would be waited for in vain
		needs = fmt.Sprintf("Requires=one-datastore-volume@%d.service\nAfter=one-datastore-volume@%[1]d.service\n", m.ID)
	}
	return name, fmt.Sprintf("[Unit]\nDescription=OpenNebula datastore %d\n%sBefore=opennebula.service libvirtd.service\n\n[Mount]\nWhat=%s\nWhere=%s\n"+
		"Type=%s\nOptions=%s\n\n[Install]\nWantedBy=multi-user.target\n", m.ID, needs, m.Source, path.Join(datastores, fmt.Sprint(m.ID)), m.Type, opts)
}

// CheckMounts refuses what breaks clones or shared datastores. shared tells which ids are of a shared driver.
func CheckMounts(mounts []StoreMount, shared map[int]bool) error {
	var errs []error
	seen := map[int]bool{}
	for _, m := range mounts {
		switch {
		case seen[m.ID]:
			errs = append(errs, fmt.Errorf("datastore %d has two mounts", m.ID))
		case shared[m.ID] && !strings.HasPrefix(m.Type, "nfs") && m.Type != "ceph" && m.Type != "glusterfs":
			errs = append(errs, fmt.Errorf("datastore %d is shared, but %s is a local disk", m.ID, m.Source))
		case strings.HasPrefix(m.Source, "/dev/sd") || strings.HasPrefix(m.Source, "/dev/vd"):
			errs = append(errs, fmt.Errorf("datastore %d: %s may be another disk after the next boot\nhint: UUID=$(blkid -o value -s UUID %s)", m.ID, m.Source, m.Source))
		}
		seen[m.ID] = true
	}
	return errors.Join(errs...)
}

// StoreWaitEdits write the mount units, and keep services from starting before the mounts are there: a VM's disk would go to the
// directory below.
func StoreWaitEdits(mounts []StoreMount, services ...string) []Edit {
	var paths []string
	for _, m := range mounts {
		paths = append(paths, path.Join(datastores, fmt.Sprint(m.ID)))
	}
	var edits []Edit
	for _, s := range services {
		edits = append(edits, Edit{Name: s + " waits for datastores", Path: "/etc/systemd/system/" + s + ".d/datastores.conf", Create: 0o644,
			Change: whole("[Unit]\nRequiresMountsFor=" + strings.Join(paths, " ") + "\n")})
	}
	if own := ownLocal(mounts); own != "" {
		edits = append(edits, Edit{Name: "owner of datastores", Path: "/etc/tmpfiles.d/one-datastores.conf", Create: 0o644, Change: whole(own)})
	}
	for _, m := range mounts {
		name, text := m.Unit()
		edits = append(edits, Edit{Name: fmt.Sprintf("mount of datastore %d", m.ID), Path: "/etc/systemd/system/" + name, Create: 0o644,
			Change: whole(text)})
	}
	return edits
}

// ownLocal gives the roots of local file systems, which mkfs left to root, to oneadmin at every boot. An export belongs to whom its
// server says.
func ownLocal(mounts []StoreMount) string {
	var out strings.Builder
	for _, m := range mounts {
		if m.Type == "xfs" || m.Type == "ext4" {
			fmt.Fprintf(&out, "z %s 0750 oneadmin oneadmin -\n", path.Join(datastores, fmt.Sprint(m.ID)))
		}
	}
	return out.String()
}
