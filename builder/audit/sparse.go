package audit

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// once reports whether a file is met for the first time.
func (a *auditor) once(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Nlink < 2 {
		return true
	}
	id := inode{st.Dev, st.Ino}
	if a.seen[id] {
		return false
	}
	a.seen[id] = true
	return true
}

// An extent is a run of a file's bytes that is no hole.
type extent struct{ start, size int64 }

// minSparse is the size from which on looking for holes is worth the system calls.
const minSparse = 1 << 20

// maxExtents bounds the list; a file in more pieces is read with its holes.
const maxExtents = 1 << 16

// extents lists what there is to read of a file: a sparse one may claim to have exabytes.
func extents(f *os.File) ([]extent, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := st.Size()
	whole := []extent{{0, size}}
	if s, ok := st.Sys().(*syscall.Stat_t); size < minSparse || ok && s.Blocks*512 >= size {
		return whole, nil
	}
	var list []extent
	for at := int64(0); at < size && len(list) < maxExtents; {
		start, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return list, nil
		}
		if err != nil {
			return whole, nil // a file system that does not know holes
		}
		end, err := unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return nil, err
		}
		list = append(list, extent{start, min(end, size) - start})
		at = end
	}
	if len(list) == maxExtents {
		return whole, nil
	}
	return list, nil
}
