package tree

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// parent opens the directory that holds name and returns it with the last part of name.
func (f *FS) parent(op, name string) (*os.File, string, error) {
	c := clean(name)
	if c == "." {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: errors.New("the root of the tree cannot be replaced")}
	}
	dir, err := f.openat2(op, path.Dir(c), unix.O_PATH|unix.O_DIRECTORY, 0)
	return dir, path.Base(c), err
}

// at runs do on the directory that holds name and the last part of name.
func (f *FS) at(op, name string, do func(dir int, base string) error) error {
	dir, base, err := f.parent(op, name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := do(int(dir.Fd()), base); err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// WriteFile replaces the content of name in one step: a reader sees the old file or the new one. Owner, mode and
// extended attributes stay as they were; a new file gets perm and belongs to root. If name is a symbolic link, what it
// leads to is written. Other names of a hard-linked file keep the old content.
func (f *FS) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return f.WriteFrom(name, bytes.NewReader(data), perm)
}

// WriteFrom is WriteFile for content that is too large to hold.
func (f *FS) WriteFrom(name string, r io.Reader, perm fs.FileMode) error {
	real, err := f.Real(name)
	if err != nil {
		return err
	}
	return f.at("write", real, func(dir int, base string) error { return replace(dir, base, r, perm) })
}

// replace writes a temporary file beside base, makes it look like base, and renames it.
func replace(dir int, base string, r io.Reader, perm fs.FileMode) error {
	tmp := ".goldsmith-" + rand.Text()[:12]
	fd, err := unix.Openat(dir, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), tmp)
	defer file.Close()
	err = fill(dir, base, file, r, perm)
	if err == nil {
		err = unix.Renameat(dir, tmp, dir, base)
	}
	if err != nil {
		return errors.Join(err, unix.Unlinkat(dir, tmp, 0))
	}
	return nil
}

// fill writes content and attributes of the new file.
func fill(dir int, base string, file *os.File, r io.Reader, perm fs.FileMode) error {
	if _, err := io.Copy(file, r); err != nil {
		return err
	}
	var old unix.Stat_t
	err := unix.Fstatat(dir, base, &old, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return unix.Fchmod(int(file.Fd()), unixMode(perm))
	case err != nil:
		return err
	case old.Mode&unix.S_IFMT != unix.S_IFREG:
		return ErrNotRegular
	}
	if err := unix.Fchown(int(file.Fd()), int(old.Uid), int(old.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(int(file.Fd()), old.Mode&0o7777); err != nil {
		return err
	}
	return copyXattrs(dir, file.Name(), dir, base)
}

// Truncate empties a regular file in place, so that what holds it open or links to it goes on doing so. A file that is
// not there stays away.
func (f *FS) Truncate(name string) error {
	file, err := f.OpenFile(name, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Truncate(0)
}

// Remove removes one name: a file, a link (not what it leads to) or an empty directory. What is not there is no error.
func (f *FS) Remove(name string) error {
	return ignoreMissing(f.at("remove", name, func(dir int, base string) error {
		err := unix.Unlinkat(dir, base, 0)
		if errors.Is(err, unix.EISDIR) {
			err = unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
		}
		return err
	}))
}

// RemoveAll removes name and what is below it, following no link and crossing into no other file system.
func (f *FS) RemoveAll(name string) error {
	return ignoreMissing(f.at("remove", name, removeAll))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeAll removes base in dir. The device number is compared at every level: deleting through somebody's bind mount
// would destroy this host.
func removeAll(dir int, base string) error {
	var st, up unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return unix.Unlinkat(dir, base, 0)
	}
	if err := unix.Fstat(dir, &up); err != nil {
		return err
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV}
	fd, err := unix.Openat2(dir, base, &how)
	if errors.Is(err, unix.EXDEV) || err == nil && st.Dev != up.Dev {
		unix.Close(fd)
		return fmt.Errorf("something is mounted on it: %w", unix.EXDEV)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	names, err := list(fd)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := removeAll(fd, n); err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
	}
	return unix.Unlinkat(dir, base, unix.AT_REMOVEDIR)
}

// Mkdir makes one directory, for root.
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	return f.at("mkdir", name, func(dir int, base string) error {
		if err := unix.Mkdirat(dir, base, unixMode(perm)); err != nil {
			return err
		}
		return unix.Fchmodat(dir, base, unixMode(perm), 0) // mkdir's was cut by the umask
	})
}

// MkdirAll makes a directory with those above it. One that exists stays as it is.
func (f *FS) MkdirAll(name string, perm fs.FileMode) error {
	real, err := f.Real(name)
	if err != nil {
		return err
	}
	if real == "." {
		return nil
	}
	if st, err := f.Lstat(real); err == nil {
		if !st.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: name, Err: unix.ENOTDIR}
		}
		return nil
	}
	if err := f.MkdirAll(path.Dir(real), perm); err != nil {
		return err
	}
	return f.Mkdir(real, perm)
}

// Symlink makes name a symbolic link that says target. An existing name is an error.
func (f *FS) Symlink(target, name string) error {
	return f.at("symlink", name, func(dir int, base string) error { return unix.Symlinkat(target, dir, base) })
}

// Rename moves a name within the tree and replaces what has the new one.
func (f *FS) Rename(from, to string) error {
	return f.at("rename", from, func(dir int, base string) error {
		return f.at("rename", to, func(dir2 int, base2 string) error { return unix.Renameat(dir, base, dir2, base2) })
	})
}

// Chmod sets the mode of what name leads to.
func (f *FS) Chmod(name string, perm fs.FileMode) error {
	return f.onReal("chmod", name, func(dir int, base string) error {
		return unix.Fchmodat(dir, base, unixMode(perm), 0)
	})
}

// Chown sets the owner of what name leads to; -1 leaves one as it is. The kernel drops set-uid bits and capabilities.
func (f *FS) Chown(name string, uid, gid int) error {
	return f.onReal("chown", name, func(dir int, base string) error { return chown(dir, base, uid, gid) })
}

// Lchown sets the owner of name itself, also if it is a link.
func (f *FS) Lchown(name string, uid, gid int) error {
	return f.at("lchown", name, func(dir int, base string) error { return chown(dir, base, uid, gid) })
}

func chown(dir int, base string, uid, gid int) error {
	return unix.Fchownat(dir, base, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
}

// onReal resolves links first, so that do, which must not follow any, works on the end of them.
func (f *FS) onReal(op, name string, do func(dir int, base string) error) error {
	real, err := f.Real(name)
	if err != nil {
		return err
	}
	if real == "." {
		return do(f.fd, ".")
	}
	return f.at(op, real, do)
}

// Xattr returns an extended attribute of what name leads to, nil if it has none of that name.
func (f *FS) Xattr(name, attr string) (value []byte, err error) {
	err = f.onReal("getxattr", name, func(dir int, base string) error {
		value, err = xattr(fdPath(dir, base), attr)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
			value, err = nil, nil
		}
		return err
	})
	return value, err
}

// SetXattr sets an extended attribute of what name leads to.
func (f *FS) SetXattr(name, attr string, value []byte) error {
	return f.onReal("setxattr", name, func(dir int, base string) error {
		return unix.Lsetxattr(fdPath(dir, base), attr, value, 0)
	})
}

// Lxattr returns an extended attribute of name itself, also if it is a link.
func (f *FS) Lxattr(name, attr string) (value []byte, err error) {
	get := func(dir int, base string) error {
		value, err = xattr(fdPath(dir, base), attr)
		if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
			value, err = nil, nil
		}
		return err
	}
	if clean(name) == "." {
		err = get(f.fd, ".")
	} else {
		err = f.at("getxattr", name, get)
	}
	return value, err
}

// SetLxattr sets an extended attribute of name itself, also if it is a link.
func (f *FS) SetLxattr(name, attr string, value []byte) error {
	return f.at("setxattr", name, func(dir int, base string) error {
		return unix.Lsetxattr(fdPath(dir, base), attr, value, 0)
	})
}
