package volume

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/cut"
)

// ioctl numbers that x/sys does not have (fs/ext4/ext4.h, fs/xfs/libxfs/xfs_fs.h, linux/btrfs.h).
const (
	ext4Resize  = 0x40086610 // _IOW('f', 16, __u64)
	xfsGeometry = 0x80705864 // _IOR('X', 100, struct xfs_fsop_geom_v1)
	xfsGrow     = 0x4010586e // _IOW('X', 110, struct xfs_growfs_data)
	btrfsResize = 0x50009403 // _IOW(0x94, 3, struct btrfs_ioctl_vol_args)
)

// onRoot does an ioctl on the root directory.
func (r *Root) onRoot(number uintptr, arg unsafe.Pointer) error {
	fd, err := unix.Open(r.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), number, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// A geometry is struct xfs_fsop_geom_v1.
type geometry struct {
	block  uint32
	_      [6]uint32
	imax   uint32 // percentage
	blocks uint64
	_      [9]uint64
}

// An extSuper is what counts of ext4's superblock.
type extSuper struct{ block, blocks int64 }

// fileSystem returns the file system's size.
func (r *Root) fileSystem() (int64, error) {
	switch r.FS {
	case "xfs":
		var g geometry
		err := r.onRoot(xfsGeometry, unsafe.Pointer(&g))
		return int64(g.blocks) * int64(g.block), err
	case "btrfs":
		var st unix.Statfs_t
		err := unix.Statfs(r.dir, &st)
		return int64(st.Blocks) * st.Bsize, err
	}
	s, err := r.super()
	return s.block * s.blocks, err
}

// super reads ext4's superblock, which lies 1 KiB behind the start; statfs leaves the tables out.
func (r *Root) super() (extSuper, error) {
	f, err := os.Open(r.Volume.node())
	if err != nil {
		return extSuper{}, err
	}
	defer f.Close()
	b := make([]byte, 1024)
	if _, err := f.ReadAt(b, 1024); err != nil {
		return extSuper{}, err
	}
	le := binary.LittleEndian
	if le.Uint16(b[0x38:]) != 0xef53 || le.Uint32(b[0x18:]) > 6 {
		return extSuper{}, errors.New("no ext4")
	}
	s := extSuper{1024 << le.Uint32(b[0x18:]), int64(le.Uint32(b[4:]))}
	if le.Uint32(b[0x60:])&0x80 != 0 { // 64bit
		s.blocks |= int64(le.Uint32(b[0x150:])) << 32
	}
	return s, nil
}

// growFS makes the file system as large as what it is on.
func (r *Root) growFS(context.Context) error {
	d, err := device(sys(r.Volume))
	if err != nil || d.Size-r.Size < Slack {
		return err
	}
	switch r.FS {
	case "xfs":
		err = r.growXFS(d.Size)
	case "btrfs":
		in := struct {
			_    int64
			name [4088]byte
		}{}
		copy(in.name[:], "1:max")
		err = r.onRoot(btrfsResize, unsafe.Pointer(&in))
	default:
		s, e := r.super()
		if e != nil {
			return e
		}
		blocks := uint64(d.Size / s.block)
		err = r.onRoot(ext4Resize, unsafe.Pointer(&blocks))
	}
	cut.Point("file system grown")
	if err != nil {
		return fmt.Errorf("cannot grow %s: %w", r.FS, err)
	}
	return nil
}

func (r *Root) growXFS(size int64) error {
	var g geometry
	if err := r.onRoot(xfsGeometry, unsafe.Pointer(&g)); err != nil {
		return err
	}
	in := struct {
		blocks  uint64
		imax, _ uint32
	}{blocks: uint64(size) / uint64(max(g.block, 512)), imax: g.imax}
	return r.onRoot(xfsGrow, unsafe.Pointer(&in))
}
