package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// root opens paths below one directory. Below "/" the kernel's own rules hold; below any other, a link in the tree is an
// untrusted sentence and is resolved as if the tree were the root (openat2, RESOLVE_IN_ROOT; Linux 5.6).
type root struct {
	fd  int
	dir string
}

func openRoot(dir string) (root, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return root{}, err
	}
	return root{fd: fd, dir: path.Clean(dir)}, nil
}

func (r root) close() error { return unix.Close(r.fd) }

// open opens name with openat2, or openat where this is the running machine's own root (RHEL 8's kernel has no openat2).
func (r root) open(name string, flags int, mode uint32) (*os.File, error) {
	clean := path.Clean("/" + name)
	var fd int
	var err error
	if r.dir == "/" {
		fd, err = unix.Open(clean, flags|unix.O_CLOEXEC, mode)
	} else {
		fd, err = unix.Openat2(r.fd, "."+clean, &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Mode: uint64(mode),
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: clean, Err: err}
	}
	return os.NewFile(uintptr(fd), clean), nil
}

func (r root) readFile(name string) ([]byte, error) {
	f, err := r.open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	if info.Size() > maxFile {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("%d bytes are no configuration file", info.Size())}
	}
	return io.ReadAll(f)
}

// maxFile bounds what is read into memory: the largest file that a rewriter owns is a nova.conf of half a megabyte.
const maxFile = 32 << 20

func (r root) stat(name string, follow bool) (fs.FileInfo, error) {
	flags := unix.O_PATH
	if !follow {
		flags |= unix.O_NOFOLLOW
	}
	f, err := r.open(name, flags, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

func (r root) readlink(name string) (string, error) {
	f, err := r.open(name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(f.Fd()), "", buf)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buf[:n]), nil
}

func (r root) readDir(name string) ([]string, error) {
	f, err := r.open(name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// glob expands a pattern element by element, so that every directory is opened below the root.
func glob(r root, pattern string) ([]string, error) {
	found := []string{"/"}
	for _, elem := range strings.Split(strings.Trim(path.Clean(pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			names, err := expand(r, dir, elem)
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				next = append(next, path.Join(dir, n))
			}
		}
		found = next
	}
	return found, nil
}

// expand returns the entries of dir that match one element. What is not there matches nothing.
func expand(r root, dir, elem string) ([]string, error) {
	if !strings.ContainsAny(elem, `*?[\`) {
		if _, err := r.stat(path.Join(dir, elem), false); err != nil {
			return nil, absent(err)
		}
		return []string{elem}, nil
	}
	names, err := r.readDir(dir)
	if err != nil {
		return nil, absent(err)
	}
	var out []string
	for _, n := range names {
		ok, err := path.Match(elem, n)
		if err != nil {
			return nil, fmt.Errorf("cannot match %q: %w", elem, err)
		}
		if ok && (n[0] != '.' || elem[0] == '.') {
			out = append(out, n)
		}
	}
	return out, nil
}

// absent turns the errors of a path that is not there into none.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}
