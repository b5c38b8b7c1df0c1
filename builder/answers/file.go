package answers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a new answer file with mode 0600, for it holds passwords. A file that exists is left alone, with an error that
// is fs.ErrExist, also when another process makes it meanwhile. The file appears whole or not at all.
func Create(path string, data []byte) error {
	return write(path, data, func(temp string) error {
		if err := os.Link(temp, path); err != nil {
			return err
		}
		return os.Remove(temp)
	}, nil)
}

// Replace writes an answer file with mode 0600 in the place of another, whose owner it keeps; behind a symbolic link it
// replaces what the link points to. At any moment the file is the old one or the new one.
func Replace(path string, data []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	old, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return write(path, data, func(temp string) error { return os.Rename(temp, path) }, old)
}

// write puts data into a temporary file beside path, syncs it, and lets place give it its name.
func write(path string, data []byte, place func(temp string) error, like fs.FileInfo) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".answers-*") // 0600 from the beginning
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, keepOwner(f, like), f.Sync(), f.Close())
	if err == nil {
		err = place(f.Name())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot write %s: %w", path, err), removeTemp(f.Name()))
	}
	return syncDir(dir)
}

// removeTemp takes the temporary file away where it still is.
func removeTemp(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDir makes the new name survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", dir, err)
	}
	return nil
}
