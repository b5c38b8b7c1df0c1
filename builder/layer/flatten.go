package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// opaque marks a directory that hides what is below it (Documentation/filesystems/overlayfs.rst).
const opaque = "trusted.overlay.opaque"

// Flatten makes one directory of layers, the lowest first, by hard links: it costs names, not data. Nobody may change a
// file in it in place; what is written over it must be an overlay, or replace the name.
func (s Store) Flatten(ctx context.Context, keys []string, dst string) error {
	if err := os.Mkdir(dst, 0o755); err != nil {
		return fmt.Errorf("cannot make tree: %w", err)
	}
	for _, t := range s.trees(keys) {
		f := flattener{src: t, dst: dst}
		err := filepath.WalkDir(t, func(path string, e fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			return f.put(path, e)
		})
		if err := errors.Join(err, f.times()); err != nil {
			return fmt.Errorf("cannot make tree of layers: %w", err)
		}
	}
	return nil
}

// A flattener puts one layer over dst.
type flattener struct {
	src, dst string
	dirs     []string // whose times are set last, since links change them
}

func (f *flattener) put(path string, e fs.DirEntry) error {
	to := f.dst + strings.TrimPrefix(path, f.src)
	if e.IsDir() {
		return f.dir(path, to)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if err := RemoveTree(to); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 { // a whiteout
		return nil
	}
	return os.Link(path, to)
}

// dir makes a directory like path, or gives the one that is there its looks.
func (f *flattener) dir(path, to string) error {
	if st, err := os.Lstat(to); err == nil && !st.IsDir() {
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	if isOpaque(path) {
		if err := f.empty(to); err != nil {
			return err
		}
	}
	if err := os.Mkdir(to, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f.dirs = append(f.dirs, path)
	return copyLooks(path, to)
}

func isOpaque(path string) bool {
	v := make([]byte, 1)
	n, err := unix.Lgetxattr(path, opaque, v)
	return err == nil && n == 1 && v[0] == 'y'
}

// empty removes what lower layers put into a directory.
func (f *flattener) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, e := range entries {
		if err := RemoveTree(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyLooks gives a directory owner, mode and extended attributes of another, but overlayfs' own.
func copyLooks(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return err
	}
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(from, names)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(from, name, value)
		if err == nil {
			err = unix.Lsetxattr(to, name, value[:n], 0)
		}
		if err != nil {
			return fmt.Errorf("cannot copy attribute %s of %s: %w", name, from, err)
		}
	}
	return nil
}

// times gives the directories the times of their originals.
func (f *flattener) times() error {
	for i := len(f.dirs) - 1; i >= 0; i-- {
		var st unix.Stat_t
		if err := unix.Lstat(f.dirs[i], &st); err != nil {
			return err
		}
		to := f.dst + strings.TrimPrefix(f.dirs[i], f.src)
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}
