package disk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/report"
)

// An access is an image as a flat file: byte n of the file is byte n of the virtual disk.
type access struct {
	file   *os.File
	size   int64 // bytes
	method string
	daemon *daemon  // serves file, nil for a raw image
	temp   *os.File // the throwaway overlay, nil without one
	locked []*os.File
	layers []layer // with why
	why    error   // why nothing of it can be mounted, nil if it can
}

// openAccess opens the files of an image. Raw images are used as they are; all else goes through qemu-storage-daemon.
func openAccess(ctx context.Context, layers []layer, o Options) (*access, error) {
	if f := layers[0].Format; !o.ReadOnly && !o.Throwaway && f != formatQcow2 && f != formatRaw {
		return nil, report.Faultf(report.Usage, "cannot write image %s: a %s can only be read", layers[0].Path, f).
			WithHint("goldsmith export %s --format qcow2 -o %s.qcow2", layers[0].Path, layers[0].Path)
	}
	if why := cannotMount(layers, o); why != nil {
		return openFlat(ctx, layers, o, why)
	}
	if layers[0].Format == formatRaw && len(layers) == 1 && !o.Throwaway {
		return openRaw(layers[0], o.ReadOnly)
	}
	return openDaemon(ctx, layers, o)
}

// openRaw opens a raw image, locked as qemu would lock it.
func openRaw(l layer, readOnly bool) (*access, error) {
	mode := os.O_RDWR
	if readOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(l.Path, mode, 0)
	if err != nil {
		return nil, report.Faultf(report.Usage, "cannot open image: %w", err)
	}
	if err := lockLikeQEMU(f, readOnly); err != nil {
		f.Close()
		return nil, err
	}
	return &access{file: f, size: l.size, method: "loop device"}, nil
}

// qemu's image locks (block/file-posix.c): one byte for each permission that is used, and another for each that is not
// shared with others, all as read locks; who wants a permission looks whether others do not share it, and the other
// way round.
const (
	lockPermBase   = 100
	lockSharedBase = 200

	permRead   = 0
	permWrite  = 1
	permResize = 3
)

// lockLikeQEMU refuses an image that a machine uses, and keeps machines from using it as long as f is open.
func lockLikeQEMU(f *os.File, readOnly bool) error {
	want, alone := []int64{permRead}, []int64{permWrite, permResize}
	if !readOnly {
		want = append(want, permWrite, permResize)
	}
	var err error
	lock := func(cmd int, kind int16, at int64) bool {
		fl := unix.Flock_t{Type: kind, Start: at, Len: 1}
		if e := unix.FcntlFlock(f.Fd(), cmd, &fl); e != nil {
			err = errors.Join(err, e)
		}
		return fl.Type == unix.F_UNLCK
	}
	for _, p := range want {
		lock(unix.F_OFD_SETLK, unix.F_RDLCK, lockPermBase+p)
	}
	for _, p := range alone {
		lock(unix.F_OFD_SETLK, unix.F_RDLCK, lockSharedBase+p)
	}
	free := true
	for _, p := range want {
		free = lock(unix.F_OFD_GETLK, unix.F_WRLCK, lockSharedBase+p) && free
	}
	for _, p := range alone {
		free = lock(unix.F_OFD_GETLK, unix.F_WRLCK, lockPermBase+p) && free
	}
	if err != nil {
		return fmt.Errorf("cannot lock image %s: %w", f.Name(), err)
	}
	if !free {
		return inUse(f.Name())
	}
	return nil
}

func inUse(image string) error {
	return report.Faultf(report.Usage, "cannot open image %s: it is in use by a virtual machine or another tool", image).
		WithHint("shut the machine down; `fuser -v %s` names who has it open", image)
}

// A daemon is a running qemu-storage-daemon.
type daemon struct {
	name string // the program
	cmd  *exec.Cmd
	said bytes.Buffer
	done chan struct{} // closed when it has ended
	err  error         // how it ended, after done
}

// openDaemon lets qemu-storage-daemon show the image through FUSE, on top of the image's own name. The daemon has a mount
// namespace of its own, so that nobody else sees that.
func openDaemon(ctx context.Context, layers []layer, o Options) (*access, error) {
	a := &access{method: "qemu-storage-daemon"}
	var before unix.Stat_t
	if err := unix.Stat(layers[0].Path, &before); err != nil {
		return nil, fmt.Errorf("cannot open image %s: %w", layers[0].Path, err)
	}
	if err := a.lockBelow(layers, o); err != nil {
		return nil, errors.Join(err, a.close())
	}
	nodes, err := a.nodes(ctx, layers, o)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	point := layers[0].Path
	writable := !o.ReadOnly || o.Throwaway
	export := map[string]any{"type": "fuse", "id": "e", "node-name": "disk", "mountpoint": point, "writable": writable}
	if err := a.start(nodes, export); err != nil {
		return nil, errors.Join(err, a.close())
	}
	if err := a.await(ctx, point, before.Dev, writable); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// lockBelow keeps others from writing the files that are only read. qemu locks them, too, but lets a raw one be written.
func (a *access) lockBelow(layers []layer, o Options) error {
	for i, l := range layers {
		if i == 0 && !o.ReadOnly && !o.Throwaway {
			continue // the daemon writes this one, and has its own lock
		}
		f, err := os.Open(l.Path)
		if err != nil {
			return report.Faultf(report.Usage, "cannot open image: %w", err)
		}
		a.locked = append(a.locked, f)
		if err := lockLikeQEMU(f, true); err != nil {
			return err
		}
	}
	return nil
}

// nodes describes the image to qemu, file by file from the bottom up, each with the name of the one below: so qemu has
// nothing to guess and follows no name by itself. The last is called "disk".
func (a *access) nodes(ctx context.Context, layers []layer, o Options) ([]map[string]any, error) {
	var list []map[string]any
	below := ""
	add := func(l layer, readOnly bool) {
		n := l.node(readOnly, below)
		below = fmt.Sprintf("layer%d", len(list))
		n["node-name"] = below
		list = append(list, n)
	}
	for i := len(layers) - 1; i >= 0; i-- {
		add(layers[i], i > 0 || o.ReadOnly || o.Throwaway)
	}
	if o.Throwaway {
		size, err := virtualSize(ctx, layers[0])
		if err != nil {
			return nil, err
		}
		if a.temp, err = nameless(tempDir()); err != nil {
			return nil, err
		}
		// The name is never followed: the node below is given.
		ov := qcow2.Overlay{Backing: "given", BackingFormat: formatRaw, Size: (size + sectorSize - 1) &^ (sectorSize - 1)}
		if err := ov.Write(a.temp); err != nil {
			return nil, fmt.Errorf("cannot make throwaway overlay: %w", err)
		}
		add(layer{Path: childFile, Format: formatQcow2}, false)
	}
	list[len(list)-1]["node-name"] = "disk"
	return list, nil
}

// virtualSize is the size of a layer's disk, in bytes.
func virtualSize(ctx context.Context, l layer) (int64, error) {
	if l.size > 0 {
		return l.size, nil
	}
	i, err := imageInfo(ctx, l)
	return i.VirtualSize, err
}

// node describes one file to qemu.
func (l layer) node(readOnly bool, below string) map[string]any {
	file := map[string]any{"driver": "file", "filename": l.Path, "read-only": readOnly, "auto-read-only": false}
	if !readOnly {
		file["discard"] = "unmap"
	}
	if l.Member.Size > 0 {
		file = map[string]any{"driver": formatRaw, "offset": l.Member.Offset, "size": l.Member.Size, "file": file, "read-only": readOnly}
	}
	node := map[string]any{"driver": l.Format, "file": file, "read-only": readOnly}
	if !readOnly {
		node["discard"] = "unmap"
	}
	if l.Format == formatQcow2 {
		node["backing"] = nil // whatever the header says
		if below != "" {
			node["backing"] = below
		}
	}
	return node
}

// start runs the daemon.
func (a *access) start(nodes []map[string]any, export map[string]any) error {
	var args []string
	for _, n := range append(nodes, export) {
		spec, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("cannot describe image: %w", err)
		}
		args = append(args, "--blockdev", string(spec))
	}
	args[len(args)-2] = "--export"
	d := &daemon{name: "qemu-storage-daemon", done: make(chan struct{})}
	d.cmd = exec.Command(d.name, args...)
	d.cmd.Stderr = &d.said
	d.cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: syscall.CLONE_NEWNS,
		Pdeathsig:    syscall.SIGTERM,
		Setpgid:      true, // Ctrl-C is for us: the daemon has to stay until the file system is unmounted
	}
	if a.temp != nil {
		d.cmd.ExtraFiles = []*os.File{a.temp}
	}
	if err := d.start(); err != nil {
		return toolFault(d.name, "qemu-system-common qemu-utils", err)
	}
	a.daemon = d
	return nil
}

// start starts the daemon and waits for it on one thread that does nothing else: Pdeathsig is sent when the thread ends
// that has started the child, and threads do end, for instance those that were in a namespace of their own.
func (d *daemon) start() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := d.cmd.Start()
		started <- err
		if err == nil {
			d.err = d.cmd.Wait()
			close(d.done)
		}
	}()
	return <-started
}

// daemonStart is how long the daemon may take to show the image.
const daemonStart = 30 * time.Second

// await waits until the FUSE mount is there, which is when the file's device number has changed, and opens it.
func (a *access) await(ctx context.Context, point string, before uint64, writable bool) error {
	name := fmt.Sprintf("/proc/%d/root%s", a.daemon.cmd.Process.Pid, point)
	mode := os.O_RDONLY
	if writable {
		mode = os.O_RDWR
	}
	return a.daemon.await(ctx, point, daemonStart, func() (bool, error) {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil || st.Dev == before {
			return false, nil
		}
		f, err := os.OpenFile(name, mode, 0)
		if err != nil {
			return false, fmt.Errorf("cannot open image %s through FUSE: %w", point, err)
		}
		a.file, a.size = f, st.Size
		return true, nil
	})
}

// await waits until what the daemon shows of an image is ready.
func (d *daemon) await(ctx context.Context, image string, limit time.Duration, ready func() (bool, error)) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		select {
		case <-d.done:
			return d.refused(image)
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("cannot open image %s: %s is not ready after %s", image, d.name, limit)
		case <-time.After(time.Millisecond):
		}
	}
}

// refused turns what the daemon said before it ended into an error.
func (d *daemon) refused(image string) error {
	said := strings.TrimSpace(d.said.String())
	if strings.Contains(said, "lock") && strings.Contains(said, "Failed to get") {
		return inUse(image)
	}
	if said == "" {
		said = fmt.Sprint(d.err)
	}
	if _, after, ok := strings.Cut(said, d.name+": "); ok {
		said = after
	}
	return report.Faultf(report.Usage, "cannot open image %s: %s", image, said)
}

// daemonStop is how long the daemon may take to write its caches back.
const daemonStop = 2 * time.Minute

// close lets go of everything. What the daemon could not write is an error.
func (a *access) close() error {
	var errs []error
	if a.file != nil {
		errs = append(errs, a.file.Close())
	}
	if a.daemon != nil {
		errs = append(errs, a.daemon.stop())
	}
	if a.temp != nil {
		errs = append(errs, a.temp.Close())
	}
	for _, f := range a.locked {
		errs = append(errs, f.Close())
	}
	a.file, a.daemon, a.temp, a.locked = nil, nil, nil, nil
	return errors.Join(errs...)
}

func (d *daemon) stop() error {
	select {
	case <-d.done:
		return nil // refused has said why, or the writes through it have failed
	default:
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot stop %s: %w", d.name, err)
	}
	return d.wait()
}

// wait waits until the daemon, which was told to end, has written everything back.
func (d *daemon) wait() error {
	select {
	case <-d.done:
	case <-time.After(daemonStop):
		_ = d.cmd.Process.Kill() // it has not ended in two minutes, and is our own child
		<-d.done
		return fmt.Errorf("cannot write image back: %s did not end within %s", d.name, daemonStop)
	}
	if d.err != nil {
		return fmt.Errorf("cannot write image back: %s: %w: %s", d.name, d.err, strings.TrimSpace(d.said.String()))
	}
	return nil
}

// tempDir is where large temporary files go: /tmp may be memory.
func tempDir() string {
	if dir := os.Getenv("TMPDIR"); dir != "" {
		return dir
	}
	return "/var/tmp"
}
