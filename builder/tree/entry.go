package tree

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// entry is one name in a directory, with what it is; no link is followed.
type entry struct{ fs.FileInfo }

func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e.FileInfo, nil }
func (e entry) String() string             { return fs.FormatDirEntry(e) }

// entries describes names of the directory dir. A name that went away meanwhile is left out.
func (f *FS) entries(dir *os.File, names []string) ([]fs.DirEntry, error) {
	slices.Sort(names)
	list := make([]fs.DirEntry, 0, len(names))
	for _, n := range names {
		fd, err := unix.Openat(int(dir.Fd()), n, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return list, &fs.PathError{Op: "stat", Path: path.Join(dir.Name(), n), Err: err}
		}
		file := os.NewFile(uintptr(fd), n)
		st, err := file.Stat()
		file.Close()
		if err != nil {
			return list, err
		}
		list = append(list, entry{st})
	}
	return list, nil
}
