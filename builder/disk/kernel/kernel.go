// Package kernel asks Linux for loop devices and for mounts that nobody else can see.
//
// A mount made here is detached: it is held by a file descriptor (fsopen, fsmount; Linux 5.2 and later) and is part of
// no mount namespace. A container or an `ip netns exec` that starts meanwhile copies the mount table of the host, and
// with an ordinary mount that copy would keep the file system mounted, hence the image dirty, after we have let go of
// it. It also means that nothing has to be cleaned up: when the process ends, however it ends, the kernel closes the
// descriptor, unmounts, and the loop device clears itself.
package kernel

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Loop is a block device over a part of a file.
type Loop struct {
	Path  string // /dev/loopN
	dev   *os.File
	dev64 uint64 // device and inode of the file behind it, to know whether it is still attached
	ino64 uint64
}

// A Window says which bytes of a file a loop device shows. Size 0 means up to the end of the file.
type Window struct {
	Offset   int64 // bytes
	Size     int64 // bytes
	ReadOnly bool
}

// ErrNotRoot says that this needs the administrator's rights.
var ErrNotRoot = errors.New("loop devices and mounts need root")

// Allowed reports whether this process may do what this package does.
func Allowed() error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	return nil
}

// attachTries bounds the race for a free loop device between LOOP_CTL_GET_FREE and LOOP_CONFIGURE.
const attachTries = 64

// Attach makes a loop device over the window w of the open file fd. The device clears itself when it is closed and
// nothing is mounted from it.
func Attach(fd int, w Window) (*Loop, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot get a loop device: %w", err)
	}
	defer control.Close()
	for range attachTries {
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("cannot get a loop device: %w", err)
		}
		l, err := configure(fmt.Sprintf("/dev/loop%d", n), fd, w)
		if !errors.Is(err, unix.EBUSY) {
			return l, err
		}
	}
	return nil, fmt.Errorf("cannot get a loop device: all that were free were taken by others, %d times", attachTries)
}

func configure(path string, fd int, w Window) (*Loop, error) {
	mode := os.O_RDWR
	if w.ReadOnly {
		mode = os.O_RDONLY
	}
	dev, err := os.OpenFile(path, mode|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open loop device: %w", err)
	}
	c := unix.LoopConfig{Fd: uint32(fd)}
	c.Info.Offset, c.Info.Sizelimit = uint64(w.Offset), uint64(w.Size)
	c.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if w.ReadOnly {
		c.Info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	if err := unix.IoctlLoopConfigure(int(dev.Fd()), &c); err != nil {
		dev.Close()
		return nil, fmt.Errorf("cannot attach %s: %w", path, err)
	}
	l := &Loop{Path: path, dev: dev}
	info, err := unix.IoctlLoopGetStatus64(int(dev.Fd()))
	if err != nil {
		dev.Close()
		return nil, fmt.Errorf("cannot read state of %s: %w", path, err)
	}
	l.dev64, l.ino64 = info.Device, info.Inode
	return l, nil
}

// Resized makes the device take over the new size of the file behind it.
func (l *Loop) Resized() error {
	return unix.IoctlSetInt(int(l.dev.Fd()), unix.LOOP_SET_CAPACITY, 0)
}

// releaseWait is how long Close waits for the kernel, and for whoever probes new block devices on this host, to let go.
const releaseWait = 10 * time.Second

// Close writes back what is cached, lets go of the device and waits until the kernel has, too. A file that is still
// attached after that is an error: somebody mounted it, and converting or booting it now would read a dirty image.
func (l *Loop) Close() error {
	if l.dev == nil {
		return nil
	}
	syncErr := l.dev.Sync()
	closeErr := l.dev.Close()
	l.dev = nil
	for end := time.Now().Add(releaseWait); l.attached(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("cannot release %s: it is still in use after %s", l.Path, releaseWait)
		}
	}
	return errors.Join(syncErr, closeErr)
}

// attached reports whether the device still shows our file.
func (l *Loop) attached() bool {
	dev, err := os.Open(l.Path)
	if err != nil {
		return false
	}
	defer dev.Close()
	info, err := unix.IoctlLoopGetStatus64(int(dev.Fd()))
	return err == nil && info.Device == l.dev64 && info.Inode == l.ino64
}

// A Mount is a mounted file system that only this process can reach.
type Mount struct {
	fd       int
	borrowed bool // a view of a file system of the host, which is not ours to write back
}

// Fd is the root directory of the mount; it stays valid until Close.
func (m *Mount) Fd() int { return m.fd }

// New mounts a block device (or, for a fuse or tmpfs type, nothing) with the given mount options, "name" or
// "name=value". Device nodes, set-uid bits and programs in it have no effect on this host.
func New(fstype, source string, readOnly bool, options ...string) (*Mount, error) {
	ctx, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot mount %s: this kernel has no %s: %w", source, fstype, err)
	}
	defer unix.Close(ctx)
	if err := setOptions(ctx, source, readOnly, options); err != nil {
		return nil, fmt.Errorf("cannot mount %s as %s: %w%s", source, fstype, err, said(ctx))
	}
	attrs := unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOATIME
	if readOnly {
		attrs |= unix.MOUNT_ATTR_RDONLY
	}
	fd, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return nil, fmt.Errorf("cannot mount %s as %s: %w%s", source, fstype, err, said(ctx))
	}
	return &Mount{fd: fd}, nil
}

func setOptions(ctx int, source string, readOnly bool, options []string) error {
	if err := unix.FsconfigSetString(ctx, "source", source); err != nil {
		return err
	}
	if readOnly {
		options = append([]string{"ro"}, options...)
	}
	for _, o := range options {
		var err error
		if name, value, ok := strings.Cut(o, "="); ok {
			err = unix.FsconfigSetString(ctx, name, value)
		} else {
			err = unix.FsconfigSetFlag(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("option %s: %w", o, err)
		}
	}
	return unix.FsconfigCreate(ctx)
}

// said returns what the kernel wrote about a failed mount, as ": e ext4: ...", or nothing.
func said(ctx int) string {
	var b strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(ctx, buf)
		if err != nil || n <= 0 {
			return b.String()
		}
		b.WriteString(": " + strings.TrimSpace(string(buf[:n])))
	}
}

// FUSE mounts a file system of one file, the root itself, that is served by whoever answers on the open /dev/fuse.
func FUSE(dev *os.File) (*Mount, error) {
	m, err := New("fuse", "goldsmith", false, fmt.Sprintf("fd=%d", dev.Fd()), "rootmode=100000", "user_id=0", "group_id=0")
	if err != nil {
		return nil, err
	}
	m.borrowed = true // there is nothing to write back but through the file itself
	return m, nil
}

// CloneTree opens the directory at path as it is below every mount in it: file systems mounted on directories or files
// inside do not show. Hence a walk of it never crosses into /proc, /sys, /dev or somebody's bind mount.
func CloneTree(path string) (*Mount, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot open tree %s: %w", path, err)
	}
	return &Mount{fd: fd, borrowed: true}, nil
}

// Close writes everything back and unmounts. Files inside that are still open keep the file system busy, so close them
// first.
func (m *Mount) Close() error {
	if m.fd < 0 {
		return nil
	}
	var syncErr error
	if !m.borrowed {
		syncErr = m.Sync()
	}
	closeErr := closeNow(m.fd)
	m.fd = -1
	return errors.Join(syncErr, closeErr)
}

// closeNow closes a descriptor of a mount. A child between fork and exec holds a copy of every descriptor; if it were
// the last one to close this, the unmount would happen some time later, and not before closeNow returns.
func closeNow(fd int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return unix.Close(fd)
}

// Abandon unmounts on the way out of a failure, when nobody cares any more for what could not be written.
func (m *Mount) Abandon() {
	if m.fd >= 0 {
		_ = m.Close()
	}
}

// Sync writes the file system back, and reports what could not be written. O_PATH descriptors cannot be synced, so the
// root is opened again.
func (m *Mount) Sync() error {
	fd, err := unix.Openat(m.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open mounted root: %w", err)
	}
	defer func() { _ = closeNow(fd) }() // a directory: there is nothing to lose
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("cannot write file system back: %w", err)
	}
	return nil
}
