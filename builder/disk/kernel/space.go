package kernel

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// A Space is a mount namespace that holds several mounts as one tree and nothing else. It has no process; a descriptor
// keeps it alive.
type Space struct {
	ns *os.File
}

// A Point puts a mount on a directory of the root mount.
type Point struct {
	Dir   string // below the root; links are resolved inside it
	Mount *Mount
}

// Join puts mounts on directories of root, so that whoever walks root's descriptor walks into them.
//
// Detached mounts cannot be put on each other before Linux 6.15, hence the namespace. A new one is a copy of the host's;
// the copy is thrown away at once, since it would keep alive whatever others unmount meanwhile.
func Join(root *Mount, points []Point) (*Space, error) {
	type result struct {
		space *Space
		err   error
	}
	got := make(chan result)
	go onOwnThread(func() {
		s, err := join(root, points)
		got <- result{s, err}
	})
	r := <-got
	return r.space, r.err
}

// onOwnThread runs do on a thread that ends with it: what do did to its namespaces concerns nobody else. The process's
// first thread cannot end, so that one is only held while another takes the work.
func onOwnThread(do func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onOwnThread(do)
	}()
	<-done
	runtime.UnlockOSThread()
}

func join(root *Mount, points []Point) (*Space, error) {
	if err := enter(root.fd); err != nil {
		return nil, fmt.Errorf("cannot make mount namespace: %w", err)
	}
	ns, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("cannot keep mount namespace: %w", err)
	}
	if err := pivot(); err != nil {
		ns.Close()
		return nil, fmt.Errorf("cannot leave the host's mounts: %w", err)
	}
	for _, p := range points {
		if err := attach(root.fd, p); err != nil {
			ns.Close()
			return nil, fmt.Errorf("cannot mount on /%s: %w", p.Dir, err)
		}
	}
	return &Space{ns}, nil
}

// enter makes a private namespace with root on top of its root directory, and goes there.
func enter(root int) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := unix.MoveMount(root, "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return err
	}
	return unix.Fchdir(root)
}

// pivot makes the working directory the root and lets go of all other mounts (pivot_root(2), "pivot_root(".", ".")").
func pivot() error {
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	return unix.Unmount(".", unix.MNT_DETACH)
}

func attach(root int, p Point) error {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	dir, err := unix.Openat2(root, p.Dir, &how)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.MoveMount(p.Mount.fd, "", dir, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// Close lets go of the tree; the mounts go with their own descriptors.
func (s *Space) Close() error { return s.ns.Close() }
