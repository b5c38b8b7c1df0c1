package tree

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// copyXattrs copies every extended attribute. There are no *at calls for them before Linux 6.13; the l-calls do not follow
// the last part of the path, and the first is our own descriptor.
func copyXattrs(dst int, to string, src int, from string) error {
	from, to = fdPath(src, from), fdPath(dst, to)
	names, err := xattrNames(from)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot list extended attributes: %w", err)
	}
	for _, name := range names {
		value, err := xattr(from, name)
		if err != nil {
			return fmt.Errorf("cannot read extended attribute %s: %w", name, err)
		}
		if err := unix.Lsetxattr(to, name, value, 0); err != nil {
			return fmt.Errorf("cannot write extended attribute %s: %w", name, err)
		}
	}
	return nil
}

func fdPath(fd int, n string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", fd, n)
}

func xattrNames(file string) ([]string, error) {
	size, err := unix.Llistxattr(file, nil)
	if err != nil || size == 0 {
		return nil, err
	}
	buf := make([]byte, size)
	size, err = unix.Llistxattr(file, buf)
	if err != nil {
		return nil, err
	}
	var names []string
	for start, i := 0, 0; i < size; i++ {
		if buf[i] == 0 {
			names = append(names, string(buf[start:i]))
			start = i + 1
		}
	}
	return names, nil
}

func xattr(file, name string) ([]byte, error) {
	size, err := unix.Lgetxattr(file, name, nil)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, size)
	size, err = unix.Lgetxattr(file, name, buf)
	return buf[:max(size, 0)], err
}
