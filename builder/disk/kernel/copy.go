package kernel

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// copyStep is how much is copied between two looks at the context.
const copyStep = 64 << 20

// CopyFile makes dst, an empty file, the same as src, of size bytes. It shares the blocks where the file system can
// (xfs, btrfs); elsewhere it copies what is data and leaves holes holes, after it has asked room for the bytes that
// this takes.
func CopyFile(ctx context.Context, dst, src *os.File, size int64, room func(need int64) error) error {
	if err := unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())); err == nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(src.Fd()), &st); err != nil {
		return err
	}
	if err := room(st.Blocks * 512); err != nil {
		return err
	}
	if err := dst.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		start, err := unix.Seek(int(src.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(int(src.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := copyRange(ctx, dst, src, start, min(end, size)); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func copyRange(ctx context.Context, dst, src *os.File, start, end int64) error {
	for start < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		from, to := start, start
		n, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(min(end-start, copyStep)), 0)
		if errors.Is(err, unix.EXDEV) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			n, err = copyBytes(dst, src, start, int(min(end-start, 1<<20)))
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the file became shorter while it was copied")
		}
		start += int64(n)
	}
	return nil
}

func copyBytes(dst, src *os.File, at int64, n int) (int, error) {
	buf := make([]byte, n)
	got, err := unix.Pread(int(src.Fd()), buf, at)
	if err != nil {
		return 0, err
	}
	return unix.Pwrite(int(dst.Fd()), buf[:got], at)
}
