package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// A snapshot of a systemd machine is a copy of the upper layer of its overlay, taken while all its processes stand still:
// what a disk holds after the plug was pulled. A copy is made beside its place and moved there when it is whole.

func snapshotsOf(m Machine) string             { return filepath.Join(m.Dir, "snapshots") }
func snapshotOf(m Machine, name string) string { return filepath.Join(snapshotsOf(m), name) }

// unfinished is the end of the name of a copy that is being made. No snapshot can be called so.
const unfinished = ".new"

// Snapshot implements Snapshotter.
func (Nspawn) Snapshot(ctx context.Context, m Machine, name string) error {
	if !m.runs() {
		return report.Faultf(report.Usage, "cannot take a snapshot of %s: it is not running", m.Name)
	}
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(snapshotsOf(m), 0o700); err != nil {
		return err
	}
	if err := group.freeze(ctx); err != nil {
		return err
	}
	return errors.Join(copyLayer(ctx, upper(m), snapshotOf(m, name)), group.thaw())
}

// Restore implements Snapshotter: the machine is ended, gets a copy of the layer, and boots. It is ended only when there
// is a copy: a disk that is full harms nobody. The report in it is taken out, as it is from before this boot.
func (d Nspawn) Restore(ctx context.Context, m Machine, name string, record func(process.ID) error) error {
	if _, err := os.Stat(snapshotOf(m, name)); err != nil {
		return fmt.Errorf("cannot find the snapshot: %w", err)
	}
	back := filepath.Join(m.Dir, "back")
	if err := errors.Join(os.RemoveAll(back), copyLayer(ctx, snapshotOf(m, name), back), removeInside(back, identity.ReportFile)); err != nil {
		return errors.Join(err, os.RemoveAll(back))
	}
	if err := d.Remove(ctx, m); err != nil {
		return err
	}
	// The overlay's workdir goes too: it belongs to the layer that it worked for.
	if err := errors.Join(os.RemoveAll(upper(m)), os.RemoveAll(work(m)), os.Rename(back, upper(m)), os.Mkdir(work(m), 0o755)); err != nil {
		return err
	}
	return d.Start(ctx, m, record)
}

// Forget implements Snapshotter.
func (Nspawn) Forget(_ context.Context, m Machine, name string) error {
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	return errors.Join(group.thaw(), os.RemoveAll(snapshotOf(m, name)+unfinished), os.RemoveAll(snapshotOf(m, name)))
}

// copyLayer copies a layer with all that an overlay keeps in it: owners, holes, hard links, whiteouts (devices 0:0) and
// attributes in the trusted namespace. Blocks are shared where the file system can. It takes no link for a folder.
func copyLayer(ctx context.Context, from, to string) error {
	half := to + unfinished
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "cp", "--archive", "--reflink=auto", "--sparse=auto", "--no-target-directory", "--", from, half)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("cannot copy the layer %s: %w: %s", from, err, lastLine(out)), os.RemoveAll(half))
	}
	return os.Rename(half, to)
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// removeInside removes a file below root, links resolved as inside. One that is not there is no error.
func removeInside(root, path string) error {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	parent, err := openat2(dir, strings.TrimLeft(filepath.Dir(path), "/"), &how)
	if err == nil {
		err = unix.Unlinkat(parent, filepath.Base(path), 0)
		unix.Close(parent)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}
