package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/kernel"
	"goldsmith/firstboot/report"
)

// GrowOptions says how to grow an image.
type GrowOptions struct {
	Root     string // name of the root volume, if there are several
	Progress ProgressFunc
}

// Grown is what Grow has done, in bytes.
type Grown struct {
	Path       string `json:"path"`
	Disk       int64  `json:"disk"`
	DiskBefore int64  `json:"disk_before"`
	Volume     string `json:"volume"` // the root
	Root       int64  `json:"root"`
	RootBefore int64  `json:"root_before"`
	FS         string `json:"fs"`
}

// Grow makes the disk of an image size bytes large, and with it the last partition, which must hold the root, and the
// root file system; the partition's start stays where it is. A root on LVM gets all that its group has left. An image of
// that size already only has its partition and file system grown, so an interrupted Grow is finished by running it
// again.
func Grow(ctx context.Context, image string, size int64, o GrowOptions) (Grown, error) {
	layers, err := chain(image, "")
	if err != nil {
		return Grown{}, err
	}
	l := layers[0]
	size = (size + sectorSize - 1) &^ (sectorSize - 1)
	if l.Format != formatQcow2 && l.Format != formatRaw {
		return Grown{}, report.Faultf(report.Usage, "cannot grow image %s: a %s can only be read", image, l.Format).
			WithHint("goldsmith export %s --format qcow2 -o %s.qcow2", image, image)
	}
	if size < l.size {
		return Grown{}, report.Faultf(report.Usage, "cannot grow image %s: it has %s, and %s is less", image, Bytes(l.size), Bytes(size))
	}
	g := &grower{opt: o, image: l.Path, format: l.Format}
	g.Grown = Grown{Path: l.Path, Disk: size, DiskBefore: l.size}
	if err := g.look(ctx); err != nil {
		return Grown{}, err
	}
	if err := g.resize(ctx, size); err != nil {
		return Grown{}, err
	}
	return g.Grown, g.growInside(ctx)
}

// A grower is the state of one Grow.
type grower struct {
	opt GrowOptions
	Grown
	image, format string
	part          int // number of the partition to grow, 0 for a disk without partitions
	logical       bool
}

// look refuses, before anything is written, what cannot be grown.
func (g *grower) look(ctx context.Context) error {
	i, err := Open(ctx, g.image, Options{Throwaway: true, Root: g.opt.Root})
	if err != nil {
		return err
	}
	root, _ := i.byName(i.Root)
	last := i.last()
	err = g.refuse(i, root, last)
	g.Volume, g.FS, g.RootBefore, g.part = root.Name, root.FS, root.Size, last.Number
	g.logical = strings.Contains(root.Name, "/")
	return errors.Join(err, i.Close())
}

func (g *grower) refuse(i *Image, root, last Volume) error {
	fail := func(format string, args ...any) error {
		return report.Faultf(report.Usage, "cannot grow image %s: %s", g.image, fmt.Sprintf(format, args...))
	}
	switch {
	case last.FS == "vfat" || last.FS == "ntfs":
		return fail("its last partition %s is %s, which nothing here can grow without risk", last.Name, last.FS)
	case !holds(last, root):
		return fail("the root is %s, and the last partition on the disk is %s (%s); only the last one can grow", root.Name,
			last.Name, nonEmpty(last.FS, "unknown"))
	case i.Table == tableMBR && last.Number > 4:
		return fail("its last partition %s is a logical one; only primary ones can grow", last.Name)
	case i.Table == tableMBR && last.Offset+g.Disk-i.Size > 2<<40:
		return fail("an MBR cannot describe more than 2 TiB")
	}
	return nil
}

// holds reports whether a logical volume, or the partition itself, is inside the partition.
func holds(part, v Volume) bool {
	return v.Offset >= part.Offset && v.Offset+min(v.Size, sectorSize) <= part.Offset+part.Size
}

// byName finds a volume.
func (i *Image) byName(name string) (Volume, bool) {
	for _, v := range i.Volumes {
		if v.Name == name {
			return v, true
		}
	}
	return Volume{}, false
}

// last is the partition that ends last on the disk, or the disk itself.
func (i *Image) last() Volume {
	var last Volume
	for _, v := range i.Volumes {
		if !strings.Contains(v.Name, "/") && v.Offset >= last.Offset {
			last = v
		}
	}
	return last
}

// resize makes the disk larger.
func (g *grower) resize(ctx context.Context, size int64) error {
	g.opt.Progress.tell("grow disk", 0, 0)
	if size == g.DiskBefore {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "qemu-img", "resize", "-q", "-f", g.format, g.image, fmt.Sprint(size)).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "Failed to get") {
			return inUse(g.image)
		}
		return report.Faultf(report.Usage, "cannot grow image %s: qemu-img: %w: %s", g.image, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// growInside grows partition, physical and logical volume, and file system.
func (g *grower) growInside(ctx context.Context) error {
	i, err := OpenDisk(ctx, g.image, Options{})
	if err != nil {
		return err
	}
	if err := g.growPartition(i); err != nil {
		return errors.Join(err, i.Close())
	}
	if err := i.Close(); err != nil {
		return err
	}
	if i, err = OpenDisk(ctx, g.image, Options{}); err != nil { // again, since it was read with the old size
		return err
	}
	return errors.Join(g.growVolume(ctx, i), i.Close())
}

// growPartition writes the table. Everything else in it, and the boot code, stays.
func (g *grower) growPartition(i *Image) error {
	g.opt.Progress.tell("grow partition", 0, 0)
	switch i.Table {
	case tableGPT:
		return g.growGPT(i)
	case tableMBR:
		return g.growMBR(i)
	}
	return nil
}

func (g *grower) growGPT(i *Image) error {
	f := i.access.file
	sector := gptSector(f, g.DiskBefore)
	if sector == 0 {
		sector = gptSector(f, i.Size)
	}
	t, err := gpt.Read(f, int(sector), int(sector))
	if err != nil {
		return fmt.Errorf("cannot grow partition: %w", err)
	}
	t.Resize(uint64(i.Size))
	for _, p := range t.Partitions {
		if p.Index != g.part {
			continue
		}
		align := uint64(mib / sector)
		if end := (t.LastDataSector()+1)/align*align - 1; end > p.End {
			p.End, p.Size = end, 0 // the size follows from the end
		}
	}
	if err := t.Write(f, i.Size); err != nil {
		return fmt.Errorf("cannot grow partition: %w", err)
	}
	return f.Sync()
}

// growMBR changes the one number in the one entry.
func (g *grower) growMBR(i *Image) error {
	f, entry := i.access.file, make([]byte, 16)
	at := int64(446 + 16*(g.part-1))
	if _, err := f.ReadAt(entry, at); err != nil {
		return fmt.Errorf("cannot grow partition: %w", err)
	}
	start, old := binary.LittleEndian.Uint32(entry[8:]), binary.LittleEndian.Uint32(entry[12:])
	sectors := i.Size/mib*mib/sectorSize - int64(start)
	if sectors <= int64(old) {
		return nil
	}
	binary.LittleEndian.PutUint32(entry[12:], uint32(sectors))
	if _, err := f.WriteAt(entry, at); err != nil {
		return fmt.Errorf("cannot grow partition: %w", err)
	}
	return f.Sync()
}

// growVolume grows what is in the partition.
func (g *grower) growVolume(ctx context.Context, i *Image) error {
	if g.logical {
		if err := g.growLVM(ctx, i); err != nil {
			return err
		}
		if err := i.scanAgain(); err != nil {
			return err
		}
	}
	v, ok := i.byName(g.Volume)
	if !ok {
		return fmt.Errorf("cannot grow image %s: the root %s is not there any more", g.image, g.Volume)
	}
	g.Root = v.Size
	g.opt.Progress.tell("grow file system", 0, 0)
	if v.FS == fsXFS || v.FS == fsBtrfs {
		return i.growMounted(v)
	}
	return i.growExt(ctx, v)
}

func (i *Image) scanAgain() error {
	i.Volumes = nil
	return i.scan()
}

// growLVM lets lvm2 grow the physical and the logical volume. It sees this one device and no device mapper, so that
// nothing is activated and no name of the host's groups is in the way.
func (g *grower) growLVM(ctx context.Context, i *Image) error {
	g.opt.Progress.tell("grow logical volume", 0, 0)
	part := i.last()
	m, err := i.attach(part, false)
	if err != nil {
		return err
	}
	config := fmt.Sprintf(`devices { use_devicesfile=0 filter=["a|^%s$|","r|.*|"] } backup { backup=0 archive=0 }
activation { udev_sync=0 udev_rules=0 }`, m.loop.Path)
	run := func(command string, args ...string) error {
		cmd := exec.CommandContext(ctx, "lvm", append([]string{command, "--driverloaded", "n", "--config", config}, args...)...)
		cmd.Env = append(os.Environ(), "LVM_SUPPRESS_FD_WARNINGS=1", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if errors.Is(err, exec.ErrNotFound) {
			return toolFault("lvm", "lvm2", err)
		}
		// No space left is what a second run finds.
		if err != nil && !strings.Contains(string(out), "matches existing size") && !strings.Contains(string(out), "No size change") {
			return fmt.Errorf("cannot grow logical volume: %s: %w: %s", command, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	err = run("pvresize", m.loop.Path)
	if err == nil {
		err = run("lvextend", "-l", "+100%FREE", g.Volume)
	}
	return errors.Join(err, m.close())
}

// growExt grows ext4 while it is not mounted: growing a mounted one needs a capability that containers lack.
func (i *Image) growExt(ctx context.Context, v Volume) error {
	m, err := i.attach(v, false)
	if err != nil {
		return err
	}
	check := exec.CommandContext(ctx, "e2fsck", "-fp", m.loop.Path)
	out, err := check.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // it has repaired something
	}
	if err != nil {
		return errors.Join(fmt.Errorf("cannot grow file system: e2fsck: %w: %s", err, strings.TrimSpace(string(out))), m.close())
	}
	if out, err = exec.CommandContext(ctx, "resize2fs", m.loop.Path).CombinedOutput(); err != nil {
		err = fmt.Errorf("cannot grow file system: resize2fs: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return errors.Join(err, m.close())
}

// growMounted grows what can only be grown while it is mounted.
func (i *Image) growMounted(v Volume) error {
	m, err := i.mount(v, false, "")
	if err != nil {
		return err
	}
	if v.FS == fsBtrfs {
		err = m.mount.GrowBtrfs()
	} else {
		err = growXFS(m.mount, io.NewSectionReader(i.access.file, v.Offset, sectorSize), v.Size)
	}
	return errors.Join(err, m.close())
}

// growXFS reads block size and inode share from the superblock, big endian at 4 and 127 (xfs_format.h).
func growXFS(m *kernel.Mount, super io.ReaderAt, size int64) error {
	b := make([]byte, sectorSize)
	if _, err := super.ReadAt(b, 0); err != nil {
		return fmt.Errorf("cannot read xfs superblock: %w", err)
	}
	block := int64(binary.BigEndian.Uint32(b[4:]))
	if string(b[:4]) != "XFSB" || block < sectorSize || block > 64<<10 {
		return errors.New("cannot read xfs superblock: it is none")
	}
	if have := int64(binary.BigEndian.Uint64(b[8:])); size/block <= have {
		return nil
	}
	err := m.GrowXFS(uint64(size/block), uint32(b[127]))
	if errors.Is(err, unix.EINVAL) {
		return nil // less than the smallest allocation group is left over
	}
	return err
}
