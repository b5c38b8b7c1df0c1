package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/disk/lvm"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// Options says how to open an image.
type Options struct {
	ReadOnly  bool   // nothing is written; a file system whose journal is not clean is refused
	Throwaway bool   // writes, a journal's replay included, go into an overlay that is gone when the image is closed
	Format    string // of the image: raw, qcow2, vmdk, vhdx, vdi, vpc; "" to find out
	Root      string // name of the volume to take for the root, as Volumes lists them; "" to find it
	Exact     bool   // everything about files is needed, devices and attributes too: only a mount will do
}

// An Image is an opened disk image. Close it, also after a failure of something in between.
type Image struct {
	Path    string   `json:"path"`
	Format  string   `json:"format"`
	Backing []string `json:"backing,omitempty"` // the files that it stands on
	Size    int64    `json:"size"`              // bytes of the virtual disk
	Table   string   `json:"table"`             // gpt, mbr, none
	Volumes []Volume `json:"volumes"`
	Root    string   `json:"root,omitempty"`    // name of the root volume, once it is mounted
	Method  string   `json:"method"`            // how the image was opened
	Skipped []string `json:"skipped,omitempty"` // file systems of the fstab that were not mounted, with the reason

	FS *tree.FS `json:"-"` // the root file system, with those that its fstab puts below it

	opt     Options
	access  *access
	mounted []*mounted // in the order of mounting
	staged  *stage     // instead of mounts, where there can be none
	guested *guest     // the same for file systems that debugfs does not know
	space   *kernel.Space
}

// OpenDisk opens an image and looks what volumes it has; it mounts nothing.
func OpenDisk(ctx context.Context, image string, o Options) (*Image, error) {
	layers, err := chain(image, o.Format)
	if err != nil {
		return nil, err
	}
	a, err := openAccess(ctx, layers, o)
	if err != nil {
		return nil, err
	}
	i := &Image{Path: layers[0].Path, Format: layers[0].Format, Size: a.size, Method: a.method, opt: o, access: a}
	for _, l := range layers[1:] {
		i.Backing = append(i.Backing, l.Path)
	}
	if err := i.scan(); err != nil {
		return nil, errors.Join(report.Faultf(report.Usage, "cannot open image %s: %w", image, err), i.Close())
	}
	return i, nil
}

// Open opens an image and mounts its root file system. The mount is seen by nobody else.
func Open(ctx context.Context, image string, o Options) (*Image, error) {
	i, err := OpenDisk(ctx, image, o)
	if err != nil {
		return nil, err
	}
	if err := i.mountRoot(ctx); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// Caveat says that the image was opened in another way than by a mount, and why; "" if it was not.
func (i *Image) Caveat() string {
	switch {
	case i.staged != nil:
		return fmt.Sprintf("image %s is opened by %s: slower, and only its ext4 root", i.Path, i.Method)
	case i.guested != nil:
		return fmt.Sprintf("image %s is opened by %s: much slower", i.Path, i.Method)
	}
	return ""
}

// Close writes everything back, in order, and lets go. An error means that the image may not hold what was written.
func (i *Image) Close() error {
	var errs []error
	i.FS = nil
	if i.staged != nil {
		if !i.opt.ReadOnly && !i.opt.Throwaway {
			errs = append(errs, i.staged.commit(context.Background(), i))
		}
		errs = append(errs, i.staged.close())
		i.staged = nil
	}
	if i.guested != nil {
		errs = append(errs, i.guested.close())
		i.guested = nil
	}
	if i.space != nil {
		errs = append(errs, i.space.Close())
		i.space = nil
	}
	for n := len(i.mounted) - 1; n >= 0; n-- {
		errs = append(errs, i.mounted[n].close())
	}
	i.mounted = nil
	if i.access != nil {
		errs = append(errs, i.access.close())
		i.access = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot close image %s: %w", i.Path, err)
	}
	return nil
}

// scan lists partitions, what they hold, and the logical volumes in them.
func (i *Image) scan() error {
	kind, list, err := readTable(i.access.file, i.Size)
	if err != nil {
		return err
	}
	i.Table = kind
	for _, v := range list {
		r := io.NewSectionReader(i.access.file, v.Offset, v.Size)
		probe(&v, r)
		i.Volumes = append(i.Volumes, v)
		if v.FS == fsLVM {
			logical, err := i.logical(v, r)
			if err != nil {
				i.Volumes[len(i.Volumes)-1].Refused = err.Error()
			}
			i.Volumes = append(i.Volumes, logical...)
		}
	}
	return nil
}

// logical lists the logical volumes of the physical volume pv.
func (i *Image) logical(pv Volume, r io.ReaderAt) ([]Volume, error) {
	g, err := lvm.Read(r, pv.Size)
	if err != nil {
		return nil, err
	}
	var list []Volume
	for _, lv := range g.Volumes {
		if lv.Internal {
			continue
		}
		v := Volume{Name: g.Name + "/" + lv.Name, Size: lv.Size, Refused: lv.Refused}
		for _, s := range lv.Extents {
			v.segments = append(v.segments, segment{pv.Offset + s.Offset, s.Size})
		}
		if len(v.segments) > 0 {
			v.Offset = v.segments[0].offset
			probe(&v, i.reader(v))
		}
		list = append(list, v)
	}
	return list, nil
}

// reader shows the bytes of a volume.
func (i *Image) reader(v Volume) io.ReaderAt {
	if len(v.segments) <= 1 {
		return io.NewSectionReader(i.access.file, v.Offset, v.Size)
	}
	return segmentReader{i.access.file, v.segments}
}

// A segmentReader reads segments one after the other.
type segmentReader struct {
	r        io.ReaderAt
	segments []segment
}

func (s segmentReader) ReadAt(p []byte, at int64) (int, error) {
	done := 0
	for _, seg := range s.segments {
		if at >= seg.size {
			at -= seg.size
			continue
		}
		n, err := s.r.ReadAt(p[done:done+int(min(int64(len(p)-done), seg.size-at))], seg.offset+at)
		if done += n; err != nil || done == len(p) {
			return done, err
		}
		at = 0
	}
	return done, io.EOF
}

// A mounted is a volume's block device, and its file system.
type mounted struct {
	view  *lvm.View // of a logical volume in pieces
	loop  *kernel.Loop
	mount *kernel.Mount
}

func (m *mounted) close() error {
	var errs []error
	if m.mount != nil {
		errs = append(errs, m.mount.Close())
	}
	if m.loop != nil {
		errs = append(errs, m.loop.Close())
	}
	if m.view != nil {
		errs = append(errs, m.view.Close())
	}
	return errors.Join(errs...)
}

// attach makes a block device of a volume.
func (i *Image) attach(v Volume, readOnly bool) (*mounted, error) {
	if i.access.why != nil {
		return nil, report.Faultf(report.Usage, "cannot make a block device of %s of image %s: %w", v.Name, i.Path, i.access.why).
			WithHint("run it as root, where /dev/loop-control and /dev/fuse are")
	}
	m, fd := &mounted{}, int(i.access.file.Fd())
	w := kernel.Window{Offset: v.Offset, Size: v.Size, ReadOnly: readOnly}
	if len(v.segments) > 1 {
		list := make([]lvm.Segment, 0, len(v.segments))
		for _, s := range v.segments {
			list = append(list, lvm.Segment{Offset: s.offset, Size: s.size})
		}
		view, err := lvm.NewView(i.access.file, list, readOnly)
		if err != nil {
			return nil, err
		}
		m.view, fd, w.Offset = view, view.Fd(), 0
		i.Method += ", linear view of " + v.Name
	}
	loop, err := kernel.Attach(fd, w)
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	m.loop = loop
	return m, nil
}

// readOnly says whether nothing may be written to what the access shows.
func (i *Image) readOnly() bool { return i.opt.ReadOnly && !i.opt.Throwaway }

// canMount refuses what would lose or change data behind our back.
func (i *Image) canMount(v Volume) error {
	fail := func(format string, args ...any) *report.Fault {
		return report.Faultf(report.Usage, "cannot open %s of image %s: %w", v.Name, i.Path, fmt.Errorf(format, args...))
	}
	switch {
	case v.Refused != "":
		return fail("%s", v.Refused)
	case !canOpen(v.FS):
		return fail("its file system is %s; ext4, xfs and btrfs are supported", nonEmpty(v.FS, "unknown"))
	case v.dirty != "" && i.readOnly():
		return fail("%s", v.dirty).WithHint("open it for writing, or on a throwaway overlay: then the journal is replayed")
	case v.damaged != "" && !i.opt.ReadOnly && !i.opt.Throwaway:
		return fail("%s", v.damaged).WithHint("check a copy of it with e2fsck first")
	}
	return nil
}

func canOpen(fs string) bool {
	return fs == fsExt4 || fs == "ext2" || fs == fsXFS || fs == fsBtrfs
}

func nonEmpty(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
