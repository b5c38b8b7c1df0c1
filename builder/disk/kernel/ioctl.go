package kernel

import (
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl numbers that x/sys does not have (linux/fs.h, fs/xfs/libxfs/xfs_fs.h, linux/btrfs.h).
const (
	fitrim         = 0xc0185879 // _IOWR('X', 121, struct fstrim_range)
	xfsGrowData    = 0x4010586e // _IOW('X', 110, struct xfs_growfs_data)
	btrfsResize    = 0x50009403 // _IOW(0x94, 3, struct btrfs_ioctl_vol_args)
	btrfsNameBytes = 4088
)

// Trim tells the block device which blocks the file system does not use. It returns how many bytes that were.
func (m *Mount) Trim() (int64, error) {
	r := struct{ start, length, min uint64 }{length: math.MaxUint64}
	if err := m.ioctl(fitrim, unsafe.Pointer(&r)); err != nil {
		return 0, fmt.Errorf("cannot drop free blocks: %w", err)
	}
	return int64(r.length), nil
}

// GrowXFS makes a mounted XFS blocks blocks large; imaxpct is the share for inodes, which stays as it is.
//
// xfs_growfs cannot do it: it looks for the file system in the mount table, and a detached one is not there.
func (m *Mount) GrowXFS(blocks uint64, imaxpct uint32) error {
	in := struct {
		blocks  uint64
		imaxpct uint32
		_       uint32
	}{blocks: blocks, imaxpct: imaxpct}
	if err := m.ioctl(xfsGrowData, unsafe.Pointer(&in)); err != nil {
		return fmt.Errorf("cannot grow xfs: %w", err)
	}
	return nil
}

// GrowBtrfs makes the first device of a mounted btrfs as large as it can be.
func (m *Mount) GrowBtrfs() error {
	var in struct {
		fd   int64
		name [btrfsNameBytes]byte
	}
	copy(in.name[:], "1:max")
	if err := m.ioctl(btrfsResize, unsafe.Pointer(&in)); err != nil {
		return fmt.Errorf("cannot grow btrfs: %w", err)
	}
	return nil
}

// ioctl works on the root directory, which has to be opened for it.
func (m *Mount) ioctl(number uintptr, arg unsafe.Pointer) error {
	fd, err := unix.Openat(m.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = closeNow(fd) }() // a directory: there is nothing to lose
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), number, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
