// Package seedfs reads the files in the root directory of the small volumes that carry seeds to a clone: ISO 9660 with Rock
// Ridge, Joliet or neither, and FAT12, FAT16 and FAT32.
//
// A seed is untrusted input and a kernel may lack the file system (cloud kernels without isofs exist). Reading it here needs
// no mount: nothing can be left mounted, whenever the power goes, and no kernel parser sees the volume.
package seedfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrUnknown means that the device holds neither of the two file systems.
var ErrUnknown = errors.New("neither ISO 9660 nor FAT")

// Limits. A seed's files are some kilobytes; a directory or file beyond this is damage or an attack.
const (
	maxFile = 1 << 20
	maxDir  = 1 << 20
)

// A Volume is one file system whose root directory has been read.
type Volume struct {
	Label string
	files map[string]func() ([]byte, error) // by name as it is on the volume
	fold  func(string) string               // how names compare
}

// Open reads the label and the root directory.
func Open(r io.ReaderAt) (*Volume, error) {
	for _, open := range []func(io.ReaderAt) (*Volume, error){openISO, openFAT} {
		v, err := open(r)
		if !errors.Is(err, ErrUnknown) {
			return v, err
		}
	}
	return nil, ErrUnknown
}

// ReadFile returns the content of a file of the root directory; errors.Is(err, fs.ErrNotExist) when there is none.
func (v *Volume) ReadFile(name string) ([]byte, error) {
	read, ok := v.files[v.fold(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	data, err := read()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

// section reads n bytes at off. A volume that ends before is damaged.
func section(r io.ReaderAt, off, n int64) ([]byte, error) {
	if n < 0 || n > maxFile || off < 0 {
		return nil, fmt.Errorf("%d bytes at %d cannot be a seed's", n, off)
	}
	buf := make([]byte, n)
	if got, err := r.ReadAt(buf, off); int64(got) < n {
		return nil, fmt.Errorf("volume breaks off at byte %d: %w", off+int64(got), errors.Join(err, io.ErrUnexpectedEOF))
	}
	return buf, nil
}
