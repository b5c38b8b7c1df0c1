package source

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/source/seedfs"
)

// A volume is a device with the label of a seed, and what its one file of interest holds.
type volume struct {
	device, label, name string
	data                []byte
	err                 error // why data could not be read
}

// seedFiles says which file of a volume holds the claim, by label in lower case.
func seedFiles(label string) (string, bool) {
	switch strings.ToLower(label) {
	case "cidata":
		return "meta-data", true
	case "context":
		return "context.sh", true
	}
	return "", false
}

func (v *volume) file(what string) ([]byte, error) {
	if v.err != nil {
		return nil, fmt.Errorf("cannot read %s of %s on %s: %w", v.name, what, v.device, v.err)
	}
	return v.data, nil
}

// labelled returns the volume of that label in any case, or nil. Two of them are refused: which one is meant cannot be
// known.
func (f *finder) labelled(label string) (*volume, error) {
	all, err := f.volumes()
	if err != nil {
		return nil, err
	}
	var found *volume
	for i := range all {
		if !strings.EqualFold(all[i].label, label) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("cannot choose a volume labelled %s: %s and %s both are", label, found.device, all[i].device)
		}
		found = &all[i]
	}
	return found, nil
}

// unlikely are prefixes of block devices that never carry a seed and may be many.
var unlikely = [...]string{"loop", "ram", "zram", "dm-", "md", "nbd", "drbd", "fd"}

// volumes reads every block device of the machine that could be a seed.
func volumes(h host.Reader) ([]volume, error) {
	entries, err := h.Glob("/sys/class/block/*")
	if err != nil {
		return nil, fmt.Errorf("cannot list block devices: %w", err)
	}
	var out []volume
	for _, e := range entries {
		name := path.Base(e)
		if skip(name) {
			continue
		}
		v, err := readVolume("/dev/" + strings.ReplaceAll(name, "!", "/"))
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, *v)
		}
	}
	return out, nil
}

func skip(name string) bool {
	for _, p := range unlikely {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// readVolume returns nil for a device without a seed: a drive without a medium, a partition table, another file system.
func readVolume(dev string) (*volume, error) {
	f, err := os.OpenFile(dev, os.O_RDONLY|unix.O_NONBLOCK, 0) // O_NONBLOCK: do not wait for a tray to close
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOMEDIUM) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.EIO) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for a seed on %s: %w", dev, err)
	}
	defer f.Close()
	fsys, err := seedfs.Open(f)
	if err != nil {
		return nil, nil //nolint:nilerr // a disk that is no volume of ours may hold anything
	}
	name, ok := seedFiles(fsys.Label)
	if !ok {
		return nil, nil
	}
	v := &volume{device: dev, label: fsys.Label, name: name}
	v.data, v.err = fsys.ReadFile(name)
	return v, nil
}
