package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"sort"

	"golang.org/x/sys/unix"
)

// A Count is the size of a tree.
type Count struct {
	Files int64 // inodes, directories included
	Bytes int64 // allocated file content in bytes (holes are not counted, a hard link once)
}

// inode names a file within the machine; it is how hard links are recognised.
type inode struct{ dev, ino uint64 }

// Measure counts the tree below the directory descriptor root.
func Measure(ctx context.Context, root int) (Count, error) {
	var c Count
	seen := map[inode]bool{}
	err := walk(ctx, root, ".", func(_ int, _, _ string, st *unix.Stat_t) error {
		if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			id := inode{st.Dev, st.Ino}
			if seen[id] {
				return nil
			}
			seen[id] = true
		}
		c.Files++
		c.Bytes += st.Blocks * 512
		return nil
	})
	return c, err
}

// walk visits everything below the directory fd (which is called name), parents first.
func walk(ctx context.Context, fd int, name string, visit func(dir int, dirName, name string, st *unix.Stat_t) error) error {
	names, err := list(fd)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", name, err)
	}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		full := path.Join(name, n)
		var st unix.Stat_t
		if err := unix.Fstatat(fd, n, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("cannot stat %s: %w", full, err)
		}
		if err := visit(fd, name, n, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		sub, err := unix.Openat(fd, n, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("cannot open %s: %w", full, err)
		}
		err = walk(ctx, sub, full, visit)
		unix.Close(sub)
		if err != nil {
			return err
		}
	}
	return nil
}

// list returns the names in a directory, sorted, so that the same tree is always written in the same order.
func list(fd int) ([]string, error) {
	own, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(own), "")
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

// Copy copies everything as it is - owners, modes, times, hard links, extended attributes (so capabilities, ACLs and
// SELinux labels), device nodes, holes - from below the directory src into the directory dst, which holds nothing but perhaps lost+found.
// The attributes of the root directory itself are copied, too. Progress, which may be nil, is called with what was
// added since the last call.
func Copy(ctx context.Context, dst, src int, progress func(Count)) error {
	if progress == nil {
		progress = func(Count) {}
	}
	c := &copier{ctx: ctx, links: map[inode]string{}, root: dst, progress: progress, buf: make([]byte, 1<<20)}
	var st unix.Stat_t
	if err := unix.Fstat(src, &st); err != nil {
		return fmt.Errorf("cannot stat tree: %w", err)
	}
	if err := c.dir(dst, src, "."); err != nil {
		return err
	}
	return c.attributes(dst, src, ".", ".", &st)
}

type copier struct {
	ctx      context.Context
	root     int
	links    map[inode]string // where a file with several names was first written, below root
	progress func(Count)
	buf      []byte
	noRange  bool // copy_file_range does not work between these two file systems
}

// dir copies the content of one directory.
func (c *copier) dir(dst, src int, name string) error {
	names, err := list(src)
	if err != nil {
		return fmt.Errorf("cannot list %s: %w", name, err)
	}
	for _, n := range names {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if name == "." && n == "lost+found" {
			continue // mkfs made one
		}
		if err := c.entry(dst, src, name, n); err != nil {
			return fmt.Errorf("cannot copy %s: %w", path.Join(name, n), err)
		}
	}
	return nil
}

// entry copies one name and what is below it.
func (c *copier) entry(dst, src int, dir, n string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(src, n, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	full := path.Join(dir, n)
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if first, ok := c.links[id]; ok {
			return unix.Linkat(c.root, first, dst, n, 0)
		}
		c.links[id] = full
	}
	if err := c.content(dst, src, full, n, &st); err != nil {
		return err
	}
	c.progress(Count{Files: 1})
	return c.attributes(dst, src, full, n, &st)
}

// content makes the file of the right kind, with its content.
func (c *copier) content(dst, src int, full, n string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.subdir(dst, src, full, n)
	case unix.S_IFREG:
		return c.file(dst, src, n, st)
	case unix.S_IFLNK:
		target, err := readlink(src, n)
		if err != nil {
			return err
		}
		return unix.Symlinkat(target, dst, n)
	default: // device, pipe, socket
		return unix.Mknodat(dst, n, st.Mode&unix.S_IFMT|0o600, int(st.Rdev))
	}
}

func (c *copier) subdir(dst, src int, full, n string) error {
	if err := unix.Mkdirat(dst, n, 0o700); err != nil {
		return err
	}
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	to, err := unix.Openat(dst, n, flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	from, err := unix.Openat(src, n, flags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(from)
	return c.dir(to, from, full)
}

func readlink(dir int, n string) (string, error) {
	buf := make([]byte, unix.PathMax)
	got, err := unix.Readlinkat(dir, n, buf)
	return string(buf[:max(got, 0)]), err
}

// file copies the data of a regular file and leaves its holes holes.
func (c *copier) file(dst, src int, n string, st *unix.Stat_t) error {
	in, err := unix.Openat(src, n, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(in)
	out, err := unix.Openat(dst, n, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(out)
	if err := unix.Ftruncate(out, st.Size); err != nil {
		return err
	}
	return c.extents(out, in, st.Size)
}

// extents copies what is data between holes.
func (c *copier) extents(out, in int, size int64) error {
	for at := int64(0); at < size; {
		start, err := unix.Seek(in, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole is left
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(in, start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := c.extent(out, in, start, min(end, size)); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// step is how much is copied between two looks at the context.
const step = 8 << 20

func (c *copier) extent(out, in int, start, end int64) error {
	for start < end {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n, err := c.some(out, in, start, int(min(end-start, step)))
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the file became shorter while it was copied")
		}
		start += int64(n)
		c.progress(Count{Bytes: int64(n)})
	}
	return nil
}

// some copies up to n bytes, in the kernel where it can.
func (c *copier) some(out, in int, at int64, n int) (int, error) {
	if !c.noRange {
		roff, woff := at, at
		got, err := unix.CopyFileRange(in, &roff, out, &woff, n, 0)
		if err == nil && got > 0 {
			return got, nil
		}
		c.noRange = err != nil // another file system: EXDEV, EINVAL or EOPNOTSUPP, depending on the kernel
	}
	got, err := unix.Pread(in, c.buf[:min(n, len(c.buf))], at)
	if err != nil || got == 0 {
		return 0, err
	}
	return unix.Pwrite(out, c.buf[:got], at)
}

// attributes copies owner, mode, extended attributes and times, in the order in which they survive each other: a chown
// drops set-uid bits and capabilities.
func (c *copier) attributes(dst, src int, full, n string, st *unix.Stat_t) error {
	if err := unix.Fchownat(dst, n, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := unix.Fchmodat(dst, n, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	if err := copyXattrs(dst, n, src, n); err != nil {
		return err
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	return unix.UtimesNanoAt(dst, n, times, unix.AT_SYMLINK_NOFOLLOW)
}
