package lvm

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"sort"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/kernel"
)

// A ReadWriterAt is a disk.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// A View shows segments of a disk, one after the other, as a file, through FUSE: what the device mapper's linear target
// does, without it. The file has no path; it is a descriptor.
type View struct {
	fd     int
	mount  *kernel.Mount
	server *fuse.Server
	served chan struct{}
}

// NewView makes a view. Offsets of segments count from the start of the disk.
func NewView(disk ReadWriterAt, segments []Segment, readOnly bool) (*View, error) {
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot show logical volume: %w", err)
	}
	defer dev.Close()
	mount, err := kernel.FUSE(dev)
	if err != nil {
		return nil, fmt.Errorf("cannot show logical volume: %w", err)
	}
	own, err := highDup(dev) // go-fuse closes the one that it is given
	if err != nil {
		mount.Abandon()
		return nil, fmt.Errorf("cannot show logical volume: %w", err)
	}
	v := &View{fd: -1, mount: mount, served: make(chan struct{})}
	node := newLinear(disk, segments, readOnly)
	v.server, err = fuse.NewServer(node, fmt.Sprintf("/dev/fd/%d", own), &fuse.MountOptions{
		MaxWrite: 1 << 20, MaxBackground: 32, Logger: log.New(io.Discard, "", 0), FsName: "goldsmith", DisableXAttrs: true,
	})
	if err != nil {
		mount.Abandon()
		return nil, fmt.Errorf("cannot show logical volume: %w", err)
	}
	go func() { v.server.Serve(); close(v.served) }()
	if err := v.open(readOnly); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open logical volume: %w", err), v.Close())
	}
	return v, nil
}

// open opens the file; it is opened and closed once before, so that the kernel has asked for a flush and never will
// again.
func (v *View) open(readOnly bool) error {
	name := fmt.Sprintf("/proc/self/fd/%d", v.mount.Fd())
	first, err := unix.Open(name, openFlags(readOnly), 0)
	if err != nil {
		return err
	}
	if err := unix.Close(first); err != nil {
		return err
	}
	if v.fd, err = unix.Open(name, openFlags(readOnly), 0); err != nil {
		v.fd = -1
	}
	return err
}

// highDup makes a copy of the FUSE device with a number above those of all other files.
//
// When this process is killed, the kernel lets go of its files in the order of falling numbers (exit_files queues them,
// task_work_run takes the last first). The connection must go before the file systems that stand on the view: unmounting
// them writes, and a write that waits for an answer which nobody can give any more waits for ever, beyond the reach of
// kill. With the connection gone it fails at once, and the journal is replayed when the image is opened next.
func highDup(dev *os.File) (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return -1, err
	}
	const most, spare = 1 << 15, 64 // a table of descriptors takes memory up to the highest
	from := int(min(limit.Cur, most)) - spare
	return unix.FcntlInt(dev.Fd(), unix.F_DUPFD_CLOEXEC, max(from, 3))
}

func openFlags(readOnly bool) int {
	if readOnly {
		return unix.O_RDONLY | unix.O_CLOEXEC
	}
	return unix.O_RDWR | unix.O_CLOEXEC
}

// Fd is the open file.
func (v *View) Fd() int { return v.fd }

// Close closes the file, unmounts it and waits until the server has ended.
func (v *View) Close() error {
	var err error
	if v.fd >= 0 {
		err = errors.Join(unix.Fsync(v.fd), unix.Close(v.fd))
		v.fd = -1
	}
	err = errors.Join(err, v.mount.Close())
	<-v.served
	return err
}

// linear serves the file.
type linear struct {
	fuse.RawFileSystem
	disk     ReadWriterAt
	segments []Segment
	starts   []int64 // where in the file each segment starts
	size     int64
	readOnly bool
}

func newLinear(disk ReadWriterAt, segments []Segment, readOnly bool) *linear {
	l := &linear{RawFileSystem: fuse.NewDefaultRawFileSystem(), disk: disk, segments: segments, readOnly: readOnly}
	for _, s := range segments {
		l.starts = append(l.starts, l.size)
		l.size += s.Size
	}
	return l
}

// each calls do for every piece of the file's bytes [at, at+n) with its place on the disk. It returns how many bytes were
// done.
func (l *linear) each(at int64, n int, do func(from, to int, disk int64) error) (int, error) {
	if at < 0 || at >= l.size {
		return 0, nil
	}
	n = int(min(int64(n), l.size-at))
	i := sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > at }) - 1
	for done := 0; done < n; i++ {
		in := at + int64(done) - l.starts[i]
		step := int(min(int64(n-done), l.segments[i].Size-in))
		if err := do(done, done+step, l.segments[i].Offset+in); err != nil {
			return done, err
		}
		done += step
	}
	return n, nil
}

func (l *linear) GetAttr(_ <-chan struct{}, _ *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	out.Attr = fuse.Attr{Ino: 1, Mode: syscall.S_IFREG | 0o600, Size: uint64(l.size), Nlink: 1, Blksize: 4096,
		Blocks: uint64(l.size / 512)}
	out.SetTimeout(1 << 40)
	return fuse.OK
}

func (l *linear) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	if size, ok := in.GetSize(); ok && size != uint64(l.size) {
		return fuse.EPERM // a logical volume cannot be cut
	}
	return l.GetAttr(nil, nil, out)
}

func (l *linear) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	if l.readOnly && in.Flags&unix.O_ACCMODE != unix.O_RDONLY {
		return fuse.EROFS
	}
	out.OpenFlags |= fuse.FOPEN_NOFLUSH
	return fuse.OK
}

func (l *linear) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n, err := l.each(int64(in.Offset), len(buf), func(from, to int, disk int64) error {
		_, err := l.disk.ReadAt(buf[from:to], disk)
		return err
	})
	if err != nil {
		return nil, fuse.EIO
	}
	return fuse.ReadResultData(buf[:n]), fuse.OK
}

func (l *linear) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (uint32, fuse.Status) {
	n, err := l.each(int64(in.Offset), len(data), func(from, to int, disk int64) error {
		_, err := l.disk.WriteAt(data[from:to], disk)
		return err
	})
	if err != nil {
		return 0, fuse.EIO
	}
	return uint32(n), fuse.OK
}

// Flush is refused, and Open says FOPEN_NOFLUSH (Linux 5.16), so that closing the file asks nothing of us: a killed
// process closes its files before it lets go of the connection, and would wait for its own answer.
func (l *linear) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.ENOSYS }

func (l *linear) Fsync(<-chan struct{}, *fuse.FsyncIn) fuse.Status {
	if err := l.disk.Sync(); err != nil {
		return fuse.EIO
	}
	return fuse.OK
}
func (l *linear) Release(<-chan struct{}, *fuse.ReleaseIn) {}

func (l *linear) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	out.Bsize, out.Blocks = 4096, uint64(l.size/4096)
	return fuse.OK
}
