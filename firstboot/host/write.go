package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/cut"
)

// ErrInPlace is returned by Replace for a file that must not be replaced by a rename: a bind mount (the new file would be
// under it), or one of several hard links. WriteInPlace is for those, after the caller has put the content into safety.
var ErrInPlace = errors.New("file cannot be replaced by a rename")

// Meta is the owner and mode that a new file gets.
type Meta struct {
	Mode     fs.FileMode
	UID, GID int
}

// suffix marks our temporary files. A cut leaves one behind; Replace takes it over the next time.
const suffix = ".goldsmith-new"

// Replace writes a file so that after a power cut either the old or the new content is there, whole: a temporary file in
// the same directory, synced, renamed, directory synced. A file that exists keeps its owner, mode and extended attributes
// (SELinux label, ACL); a new one gets meta. A symbolic link stays one: the file that it names is replaced.
func (h *Host) Replace(name string, data []byte, meta Meta) error {
	target, err := h.resolve(name)
	if err != nil {
		return err
	}
	old, err := h.root.open(target, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return fmt.Errorf("cannot replace %s: %w", name, err)
	default:
		defer old.Close()
	}
	dir, err := h.root.open(path.Dir(target), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("cannot replace %s: %w", name, err)
	}
	defer dir.Close()
	if err := renamable(old, dir); err != nil {
		return fmt.Errorf("cannot replace %s: %w", name, err)
	}
	if err := swap(dir, old, path.Base(target), data, meta); err != nil {
		return fmt.Errorf("cannot replace %s: %w", name, err)
	}
	return nil
}

// renamable refuses files that a rename would hide or split.
func renamable(old, dir *os.File) error {
	if old == nil {
		return nil
	}
	info, err := old.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	st, dst := info.Sys().(*syscall.Stat_t), new(unix.Stat_t)
	if err := unix.Fstat(int(dir.Fd()), dst); err != nil {
		return err
	}
	if st.Nlink > 1 || st.Dev != dst.Dev || mounted(old) {
		return ErrInPlace
	}
	return nil
}

// mounted tells whether a file is a mount point itself, also when it was bound from the same file system. Kernels before
// 5.8 do not say; there the rename fails with EBUSY, which swap reports as ErrInPlace.
func mounted(f *os.File) bool {
	var stx unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &stx)
	return err == nil && stx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 &&
		stx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

func swap(dir, old *os.File, base string, data []byte, meta Meta) error {
	dfd := int(dir.Fd())
	tmp := "." + base + suffix
	if err := unix.Unlinkat(dfd, tmp, 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	fd, err := unix.Openat(dfd, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), tmp)
	err = fill(f, old, data, meta)
	cut.Point("file written " + base)
	if err == nil {
		err = unix.Renameat(dfd, tmp, dfd, base)
		if errors.Is(err, unix.EBUSY) {
			err = ErrInPlace
		}
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dfd, tmp, 0))
	}
	cut.Point("file renamed " + base)
	return dir.Sync()
}

// fill writes content and metadata to the temporary file and makes it durable.
func fill(f, old *os.File, data []byte, meta Meta) error {
	_, err := f.Write(data)
	if err == nil && old != nil {
		err = copyMeta(f, old)
	} else if err == nil {
		err = errors.Join(f.Chown(meta.UID, meta.GID), f.Chmod(meta.Mode))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// copyMeta gives f the owner, mode and extended attributes of old. Owner first: chown clears set-id bits and capabilities.
func copyMeta(f, old *os.File) error {
	info, err := old.Stat()
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if err := f.Chown(int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), st.Mode&0o7777); err != nil {
		return err
	}
	return copyXattrs(f, old)
}

func copyXattrs(f, old *os.File) error {
	names, err := xattrNames(int(old.Fd()))
	if err != nil {
		return err
	}
	for _, n := range names {
		buf := make([]byte, 64<<10)
		size, err := unix.Fgetxattr(int(old.Fd()), n, buf)
		if err != nil {
			return fmt.Errorf("cannot read attribute %s: %w", n, err)
		}
		if err := unix.Fsetxattr(int(f.Fd()), n, buf[:size], 0); err != nil {
			return fmt.Errorf("cannot keep attribute %s: %w", n, err)
		}
	}
	return nil
}

func xattrNames(fd int) ([]string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Flistxattr(fd, buf)
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list attributes: %w", err)
	}
	return strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 }), nil
}

// WriteInPlace overwrites a file without replacing it. A power cut in the middle leaves part of the content, so the caller
// must be able to write it again.
func (h *Host) WriteInPlace(name string, data []byte) error {
	f, err := h.root.open(name, unix.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	cut.Point("in place begins " + name)
	_, err = f.Write(data)
	cut.Point("in place written " + name)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// Remove removes a file, not a directory, and syncs its directory. A file that is not there is no error.
func (h *Host) Remove(name string) error {
	dir, err := h.root.open(path.Dir(path.Clean("/"+name)), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return absent(err)
	}
	defer dir.Close()
	if err := unix.Unlinkat(int(dir.Fd()), path.Base(name), 0); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("cannot remove %s: %w", name, err)
	}
	cut.Point("removed " + name)
	return dir.Sync()
}

// RemoveTemporary removes what a cut Replace of that name left beside it.
func (h *Host) RemoveTemporary(name string) error {
	target, err := h.resolve(name)
	if err != nil {
		return err
	}
	dir, err := h.root.open(path.Dir(target), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return absent(err)
	}
	defer dir.Close()
	err = unix.Unlinkat(int(dir.Fd()), "."+path.Base(target)+suffix, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err != nil:
		return fmt.Errorf("cannot remove the temporary file of %s: %w", name, err)
	}
	return dir.Sync()
}

// MkdirAll makes a directory and its missing parents, durably.
func (h *Host) MkdirAll(name string, mode fs.FileMode) error {
	clean := path.Clean("/" + name)
	if clean == "/" {
		return nil
	}
	if info, err := h.Stat(clean); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("cannot make directory %s: there is a file", clean)
		}
		return nil
	}
	if err := h.MkdirAll(path.Dir(clean), 0o755); err != nil {
		return err
	}
	dir, err := h.root.open(path.Dir(clean), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Mkdirat(int(dir.Fd()), path.Base(clean), uint32(mode.Perm())); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot make directory %s: %w", clean, err)
	}
	return dir.Sync()
}

// resolve follows the symbolic links of a path's last element below the root, at most 40 as the kernel does, and returns
// the path of the file itself. What is not there yet resolves to its own path.
func (h *Host) resolve(name string) (string, error) {
	clean := path.Clean("/" + name)
	for range 40 {
		info, err := h.Lstat(clean)
		if errors.Is(err, fs.ErrNotExist) {
			return clean, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return clean, nil
		}
		to, err := h.Readlink(clean)
		if err != nil {
			return "", err
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(clean), to)
		}
		clean = path.Clean(to)
	}
	return "", &fs.PathError{Op: "resolve", Path: name, Err: unix.ELOOP}
}
