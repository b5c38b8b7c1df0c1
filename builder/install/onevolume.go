package install

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"goldsmith/builder/recipe"
	"goldsmith/templates"
)

const (
	growScript = "/usr/local/sbin/one-datastore-volume"
	volumeUnit = "one-datastore-volume@.service"
)

// volumeName is the logical volume of a datastore.
func volumeName(id int) string { return fmt.Sprintf("ds%d", id) }

func volumeGroup(v recipe.Volume) string { return orElse(v.Group, "one") }

// volumeMount mounts the volume where oned expects the datastore.
func volumeMount(v recipe.Volume) StoreMount {
	return StoreMount{ID: v.Datastore, Source: "/dev/" + volumeGroup(v) + "/" + volumeName(v.Datastore), Type: "xfs", Volume: true}
}

// VolumeEdits put in what makes the volumes when a clone first boots, and grows them when it boots with a disk more; an
// administrator who does not want to wait for that runs the same unit again: systemctl restart one-datastore-volume@100.
func VolumeEdits(volumes []recipe.Volume) (edits []Edit, units []string, err error) {
	if len(volumes) == 0 {
		return nil, nil, nil
	}
	for _, f := range []struct {
		name, to string
		mode     fs.FileMode
	}{{"volume.sh", growScript, 0o755}, {volumeUnit, "/etc/systemd/system/" + volumeUnit, 0o644}} {
		data, err := templates.FS.ReadFile("opennebula/" + f.name)
		if err != nil {
			return nil, nil, err
		}
		edits = append(edits, Edit{Name: "datastore volumes", Path: f.to, Create: f.mode, Change: whole(string(data))})
	}
	var errs []error
	seen := map[string]bool{}
	for _, v := range volumes {
		for _, d := range v.Disks {
			if seen[d] {
				errs = append(errs, fmt.Errorf("disk %s is in two volumes", d))
			}
			seen[d] = true
		}
		id := fmt.Sprint(v.Datastore)
		edits = append(edits, Edit{Name: "volume of datastore " + id, Path: "/etc/one-datastore-volume/" + id, Create: 0o644,
			Change: whole("GROUP=" + volumeGroup(v) + "\nVOLUME=" + volumeName(v.Datastore) + "\nDISKS=\"" + strings.Join(v.Disks, " ") + "\"\n")})
		units = append(units, "one-datastore-volume@"+id+".service")
	}
	return edits, units, errors.Join(errs...)
}
