package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// A snapshot of a domain stands inside its overlay, memory included. What libvirtd knows of it ends with a transient
// domain, so its description is kept with the machine and given back to libvirtd when it is needed.

func descriptionOf(m Machine, name string) string {
	return filepath.Join(m.Dir, "snapshot-"+name+".xml")
}

// Snapshot implements Snapshotter.
func (d Libvirt) Snapshot(ctx context.Context, m Machine, name string) error {
	if alive, err := d.Alive(ctx, m); err != nil || !alive {
		return errors.Join(err, report.Faultf(report.Usage, "cannot take a snapshot of %s: it is not running", m.Name))
	}
	l := m.libvirt()
	if _, err := l.virsh(ctx, "", "snapshot-create-as", m.Unit, name, "--atomic"); err != nil {
		return err
	}
	text, err := l.virsh(ctx, "", "snapshot-dumpxml", "--security-info", m.Unit, name)
	if err != nil {
		return err
	}
	return os.WriteFile(descriptionOf(m, name), []byte(text), 0o600)
}

// Restore implements Snapshotter.
func (d Libvirt) Restore(ctx context.Context, m Machine, name string, record func(process.ID) error) error {
	text, err := os.ReadFile(descriptionOf(m, name))
	if err != nil {
		return fmt.Errorf("cannot find the snapshot: %w", err)
	}
	l := m.libvirt()
	// The domain is asked for by name: a goldsmith that was cut here may have left one whose process nobody wrote down.
	if _, err = l.virsh(ctx, "", "domstate", m.Unit); noDomain(err) {
		err = l.define(ctx, m) // somebody must be there to be taken back
	}
	if err != nil {
		return err
	}
	known, err := l.snapshots(ctx, m)
	if err == nil && !slices.Contains(known, name) {
		_, err = l.virsh(ctx, string(text), "snapshot-create", m.Unit, "/dev/stdin", "--redefine")
	}
	if err == nil {
		_, err = l.virsh(ctx, "", "snapshot-revert", m.Unit, name, "--running")
	}
	if err != nil {
		return err
	}
	return l.record(m, record)
}

// Forget implements Snapshotter. Where the domain of another host has ended, the snapshot goes with its volume.
func (d Libvirt) Forget(ctx context.Context, m Machine, name string) error {
	l := m.libvirt()
	alive, err := d.Alive(ctx, m)
	switch {
	case err != nil:
	case alive:
		var known []string
		if known, err = l.snapshots(ctx, m); err == nil && slices.Contains(known, name) {
			_, err = l.virsh(ctx, "", "snapshot-delete", m.Unit, name)
		}
	case !l.remote():
		err = forgetOnDisk(ctx, overlayOf(m), name)
	}
	if e := os.Remove(descriptionOf(m, name)); !errors.Is(e, os.ErrNotExist) {
		err = errors.Join(err, e)
	}
	return err
}

// snapshots lists what libvirtd knows of.
func (l libvirtd) snapshots(ctx context.Context, m Machine) ([]string, error) {
	out, err := l.virsh(ctx, "", "snapshot-list", m.Unit, "--name")
	return strings.Fields(out), err
}
