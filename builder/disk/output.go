package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/report"
)

// canReplace refuses to write over an image that nobody said may be lost.
func canReplace(name string, overwrite bool) error {
	if name == "" {
		return report.Faultf(report.Usage, "cannot write image: it has no name")
	}
	st, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return report.Faultf(report.Usage, "cannot write image: %w", err)
	case !st.Mode().IsRegular():
		return report.Faultf(report.Usage, "cannot write image %s: it is no regular file", name)
	case !overwrite:
		return report.Faultf(report.Usage, "cannot write image %s: it exists", name).
			WithHint("remove it, or say that it may be overwritten")
	}
	return nil
}

// An output is a file that gets its name when it is complete.
type output struct {
	name      string
	file      *os.File // under a temporary name in the same directory
	overwrite bool
}

// newOutput takes the temporary name that belongs to name. It is always the same one, and locked: what a killed run has
// left is written over by the next, and two runs for one name do not meet.
func newOutput(name string, overwrite bool) (*output, error) {
	if err := canReplace(name, overwrite); err != nil {
		return nil, err
	}
	tmp := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".goldsmith")
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, report.Faultf(report.Usage, "cannot write image %s: %w", name, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, report.Faultf(report.Usage, "cannot write image %s: another goldsmith is writing it", name)
	}
	return &output{name: name, file: f, overwrite: overwrite}, nil
}

// discard removes what was written, unless it was committed.
func (o *output) discard() {
	if o.file == nil {
		return
	}
	_ = os.Remove(o.file.Name()) // it is under a temporary name: the next run would write over it
	o.file.Close()
	o.file = nil
}

// commit gives the file its name, after it and before its directory were brought to the disk.
func (o *output) commit() error {
	if err := o.file.Sync(); err != nil {
		return fmt.Errorf("cannot write image %s: %w", o.name, err)
	}
	if err := canReplace(o.name, o.overwrite); err != nil {
		return err
	}
	if err := os.Rename(o.file.Name(), o.name); err != nil {
		return fmt.Errorf("cannot write image %s: %w", o.name, err)
	}
	o.file.Close()
	o.file = nil
	dir, err := os.Open(filepath.Dir(o.name))
	if err != nil {
		return fmt.Errorf("cannot write image %s: %w", o.name, err)
	}
	defer dir.Close()
	return dir.Sync()
}

// CheckRoom refuses when the file system that holds dir has not got need bytes left.
func CheckRoom(dir string, need int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return report.Faultf(report.Usage, "cannot write to %s: %w", dir, err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < need {
		return report.Faultf(report.Usage, "cannot write to %s: this needs up to %s, and %s are free", dir, Bytes(need), Bytes(free)).
			WithHint("free some space, or choose a directory on a larger disk")
	}
	return nil
}

// Bytes renders a number of bytes for eyes: 1.5 GiB.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
