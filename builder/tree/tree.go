// Package tree reads and changes files below one directory: the root tree of a machine that does not run, whether it is
// a plain directory or a mounted image.
//
// Such a tree is untrusted input. Every path is resolved by the kernel with that directory as its root
// (openat2, RESOLVE_IN_ROOT; Linux 5.6 and later): an absolute symbolic link, or any number of "..", stays inside, and a
// link into /proc is refused. os.Root cannot serve: it refuses absolute links, of which every machine is full.
//
// Names may start with a slash or not. Nothing is fsynced here: an image is synced as a whole when it is closed, and
// a tree that was being written when the power failed is made anew.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// An FS is the files below one directory. It implements fs.FS, fs.ReadDirFS, fs.ReadFileFS, fs.StatFS and
// fs.ReadLinkFS, so that fs.WalkDir and fs.Glob work on it.
type FS struct {
	fd    int
	owned bool
}

// MaxFile is the most that ReadFile returns, in bytes; a sparse file in an image can claim to have any size.
const MaxFile = 64 << 20

// ErrTooBig says that a file is larger than MaxFile.
var ErrTooBig = errors.New("file is larger than 64 MiB")

// ErrNotRegular says that something is no regular file: reading a pipe or a device of an image would hang.
var ErrNotRegular = errors.New("not a regular file")

// Open opens the directory at dir, a path of this host.
func Open(dir string) (*FS, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open tree %s: %w", dir, err)
	}
	return &FS{fd: fd, owned: true}, nil
}

// At uses the directory descriptor fd, which stays the caller's to close.
func At(fd int) *FS { return &FS{fd: fd} }

// Fd is the descriptor of the root directory, valid until Close.
func (f *FS) Fd() int { return f.fd }

// Close lets go of the directory.
func (f *FS) Close() error {
	if !f.owned || f.fd < 0 {
		return nil
	}
	err := unix.Close(f.fd)
	f.fd = -1
	return err
}

// clean makes name relative to the root; ".." cannot leave it.
func clean(name string) string {
	c := strings.TrimPrefix(path.Clean("/"+name), "/")
	if c == "" {
		return "."
	}
	return c
}

// openat2 resolves name below the root.
func (f *FS) openat2(op, name string, flags int, perm fs.FileMode) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(unixMode(perm))
	}
	for {
		fd, err := unix.Openat2(f.fd, clean(name), &how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), clean(name)), nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN): // EAGAIN: something was renamed meanwhile
		default:
			return nil, &fs.PathError{Op: op, Path: name, Err: err}
		}
	}
}

// unixMode translates Go's mode bits into the kernel's.
func unixMode(m fs.FileMode) uint32 {
	out := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		out |= unix.S_ISUID
	}
	if m&fs.ModeSetgid != 0 {
		out |= unix.S_ISGID
	}
	if m&fs.ModeSticky != 0 {
		out |= unix.S_ISVTX
	}
	return out
}

// OpenFile opens name with os.O_ flags; a link as the last part is followed, inside the tree. Pipes do not block.
func (f *FS) OpenFile(name string, flags int, perm fs.FileMode) (*os.File, error) {
	return f.openat2("open", name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, perm)
}

// Open opens name for reading; what it returns is an *os.File.
func (f *FS) Open(name string) (fs.File, error) {
	return f.OpenFile(name, os.O_RDONLY, 0)
}

// Stat describes what name leads to.
func (f *FS) Stat(name string) (fs.FileInfo, error) { return f.stat("stat", name, 0) }

// Lstat describes name itself.
func (f *FS) Lstat(name string) (fs.FileInfo, error) { return f.stat("lstat", name, unix.O_NOFOLLOW) }

func (f *FS) stat(op, name string, flags int) (fs.FileInfo, error) {
	file, err := f.openat2(op, name, unix.O_PATH|flags, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Stat()
}

// Exists reports whether name leads to something.
func (f *FS) Exists(name string) bool {
	_, err := f.Stat(name)
	return err == nil
}

// ReadFile returns the content of a regular file of at most MaxFile bytes.
func (f *FS) ReadFile(name string) ([]byte, error) {
	file, err := f.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: ErrNotRegular}
	}
	b, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err == nil && len(b) > MaxFile {
		err = &fs.PathError{Op: "read", Path: name, Err: ErrTooBig}
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ReadDir lists a directory, sorted by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	dir, err := f.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	return f.entries(dir, names)
}

// ReadLink returns where the symbolic link name points to, as it is written.
func (f *FS) ReadLink(name string) (string, error) {
	file, err := f.openat2("readlink", name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	target, err := readlink(int(file.Fd()), "")
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) { // what an empty path says of no link
		err = unix.EINVAL
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// maxLinks is how many symbolic links one path may lead through, as in the kernel.
const maxLinks = 40

// Real returns name with every symbolic link resolved inside the tree, as far as it exists; the last part need not.
func (f *FS) Real(name string) (string, error) {
	todo, done := strings.Split(clean(name), "/"), "."
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			done = clean(path.Dir(done))
			continue
		}
		next := path.Join(done, part)
		target, err := f.ReadLink(next)
		if err != nil { // no link, or not there
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: name, Err: unix.ELOOP}
		}
		if path.IsAbs(target) {
			done = "."
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}
