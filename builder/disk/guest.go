package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// A guest is a root file system that libguestfs mounts in a virtual machine of its own and shows through FUSE: the way for
// xfs and btrfs on hosts that cannot mount, where its tool guestmount is. It takes half a minute to two without KVM.
type guest struct {
	daemon *daemon
	end    *os.File // when this closes, also because we die, the files are unmounted and guestmount ends
	undo   *exec.Cmd
	dir    string // holds the folder "root", and the overlay of a throwaway
	tree   *tree.FS
}

// guestStart is how long libguestfs may take to boot its kernel; the first time of all it packs that, too.
const guestStart = 10 * time.Minute

// guestMount is what guestmount mounts where.
type guestMount struct{ device, dir, option string }

func (m guestMount) String() string {
	s := m.device + ":" + m.dir
	if m.option != "" {
		s += ":" + m.option
	}
	return s
}

// canGuest says what keeps libguestfs from it.
func (i *Image) canGuest() error {
	if _, err := exec.LookPath("guestmount"); err != nil {
		return errors.New("no guestmount (package guestmount)")
	}
	if i.access.layers[0].Member.Size > 0 {
		return errors.New("it opens no disk that is inside another file")
	}
	if err := hasFUSE(); err != nil {
		return fmt.Errorf("no FUSE: %w", err)
	}
	return nil
}

// guestRoot mounts the only volume that may be a root, and what its fstab puts below it.
func (i *Image) guestRoot(ctx context.Context, list []Volume) error {
	if len(list) != 1 {
		var names []string
		for _, v := range list {
			names = append(names, v.Name)
		}
		return report.Faultf(report.Usage, "cannot open image %s: this host cannot mount it (%w), and libguestfs has to be told which of %s is the root",
			i.Path, i.access.why, strings.Join(names, ", ")).WithHint("say it with --root %s", names[len(names)-1])
	}
	v, why := list[0], i.access.why
	// libguestfs takes a lock of its own on the image.
	if err := i.access.close(); err != nil {
		return err
	}
	i.access = nil
	fail := func(err error) error {
		return fmt.Errorf("cannot open %s of image %s by libguestfs (%w): %w", v.Name, i.Path, why, err)
	}
	for _, option := range rootOptions(v.FS) {
		g, err := i.guest(ctx, []guestMount{{guestDevice(v), "/", option}})
		if err != nil {
			return fail(err)
		}
		if !isRoot(g.tree) {
			if err := g.close(); err != nil {
				return fail(err)
			}
			continue
		}
		i.guested, i.Root = g, v.Name
		below := i.guestBelow(v, option)
		if len(below) > 1 {
			i.guested = nil
			if err := g.close(); err != nil {
				return fail(err)
			}
			if i.guested, err = i.guest(ctx, below); err != nil {
				return fail(err)
			}
		}
		i.FS, i.Method = i.guested.tree, "libguestfs ("+why.Error()+")"
		return nil
	}
	return i.noRoot()
}

// guestBelow lists the root and what its fstab puts below it, as far as it is in this image.
func (i *Image) guestBelow(root Volume, option string) []guestMount {
	list := []guestMount{{guestDevice(root), "/", option}}
	text, err := i.guested.tree.ReadFile("etc/fstab")
	if err != nil {
		return list // no fstab, no further file systems
	}
	for _, e := range parseFstab(string(text)) {
		v, ok := i.volume(e.source)
		switch {
		case !ok || v.Name == i.Root && e.subvol == "":
		case !canOpen(v.FS):
			i.Skipped = append(i.Skipped, fmt.Sprintf("/%s: %s is %s", e.dir, v.Name, nonEmpty(v.FS, "unknown")))
		default:
			list = append(list, guestMount{guestDevice(v), "/" + e.dir, e.subvol})
		}
	}
	return list
}

// guestDevice is what libguestfs calls a volume of its only disk.
func guestDevice(v Volume) string {
	switch {
	case strings.Contains(v.Name, "/"):
		return "/dev/" + v.Name
	case v.Number > 0:
		return "/dev/sda" + v.Name
	}
	return "/dev/sda"
}

// guest starts guestmount and waits until the files are there.
func (i *Image) guest(ctx context.Context, list []guestMount) (*guest, error) {
	dir, err := os.MkdirTemp(tempDir(), ".goldsmith-guest-")
	if err != nil {
		return nil, fmt.Errorf("cannot make temporary folder: %w", err)
	}
	g := &guest{dir: dir}
	point, image, format := filepath.Join(dir, "root"), i.Path, i.Format
	if err := os.Mkdir(point, 0o700); err != nil {
		return nil, errors.Join(err, g.close())
	}
	if i.opt.Throwaway {
		image, format = filepath.Join(dir, "throwaway.qcow2"), formatQcow2
		if err := CreateOverlay(image, i.Path, OverlayOptions{}); err != nil {
			return nil, errors.Join(err, g.close())
		}
	}
	args := []string{"--no-fork", "--format=" + format, "-a", image}
	for _, m := range list {
		args = append(args, "-m", m.String())
	}
	if i.readOnly() {
		args = append(args, "--ro")
	}
	g.daemon = &daemon{name: "guestmount", done: make(chan struct{}), cmd: exec.Command("guestmount", append(args, point)...)}
	g.daemon.cmd.Stderr = &g.daemon.said
	g.daemon.cmd.Env = append(os.Environ(), "LIBGUESTFS_BACKEND=direct") // not by libvirt, as another user
	g.daemon.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}       // Ctrl-C is for us
	if err := g.prepareEnd(point); err != nil {
		g.daemon = nil
		return nil, errors.Join(err, g.close())
	}
	if err := g.daemon.start(); err != nil {
		g.daemon = nil
		return nil, errors.Join(toolFault("guestmount", "guestmount", err), g.close())
	}
	err = g.daemon.await(ctx, i.Path, guestStart, func() (bool, error) {
		var st, parent unix.Stat_t // a mount is on another device than its parent
		return unix.Stat(point, &st) == nil && unix.Stat(dir, &parent) == nil && st.Dev != parent.Dev, nil
	})
	if err != nil {
		_ = g.daemon.cmd.Process.Kill() // nothing was written yet, and it may hang
		return nil, errors.Join(err, g.close())
	}
	g.tree, err = tree.Open(point)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// prepareEnd starts what unmounts in the end. guestmount cannot be told to by a signal: it would die of it, and what it holds
// would not reach the image.
func (g *guest) prepareEnd(point string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	g.undo = exec.Command("guestunmount", "--quiet", "--fd=3", point)
	g.undo.ExtraFiles = []*os.File{r}
	g.undo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.undo.Start(); err != nil {
		g.undo = nil
		return errors.Join(toolFault("guestunmount", "guestmount", err), w.Close())
	}
	g.end = w
	return nil
}

// close unmounts, waits until everything is in the image, and lets go.
func (g *guest) close() error {
	var errs []error
	if g.tree != nil {
		errs = append(errs, g.tree.Close())
	}
	if g.end != nil {
		g.end.Close()
		_ = g.undo.Wait() // where nothing is mounted, that is its error; else the folder below cannot be removed
	}
	if g.daemon != nil {
		errs = append(errs, g.daemon.wait())
	}
	// Not what is below a mount that is still there: that would be the image.
	errs = append(errs, os.RemoveAll(filepath.Join(g.dir, "throwaway.qcow2")), removeEmpty(filepath.Join(g.dir, "root")), removeEmpty(g.dir))
	return errors.Join(errs...)
}

func removeEmpty(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
