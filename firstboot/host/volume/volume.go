// Package volume knows what the root file system of the running machine stands on, and makes all of it as large as the
// disk: partition, LVM volume, file system. It asks the kernel and needs no tool, but for LVM, which needs its own.
//
// Everything here is done on line, by steps that can be seen afterwards and that do no harm when they are done twice.
package volume

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Root is a root file system and what is below it, down to the disk. Sizes are in bytes.
type Root struct {
	FS         string // ext4, xfs, btrfs
	Size       int64  // of the file system
	Volume     Device // what it is on: a logical volume, a partition, a disk
	Part       Device // the partition, or the disk where there are none
	Number     int    // of the partition; 0 where there are none
	Start      int64  // of the partition
	PV         int64  // what LVM takes the partition's size for; 0 without LVM
	Disk       Device
	SectorSize int64
	// Refused says why the disk's room cannot be had; "" if it can.
	Refused string

	dir string // where it is mounted
}

// A Device is a block device.
type Device struct {
	Name string // as the kernel calls it: vda2
	Size int64
}

// node is the device's file.
func (d Device) node() string { return "/dev/" + d.Name }

// Slack is what may be left over: tables, alignment, a last group too small for its own tables.
const Slack = 16 << 20

// Room is what the root could gain.
func (r *Root) Room() int64 {
	room := r.Volume.Size - r.Size
	if r.Number > 0 {
		room += max(0, r.Disk.Size-r.Start-r.Part.Size)
	}
	if r.PV > 0 {
		room += max(0, r.Part.Size-r.PV)
	}
	return room
}

// Full tells whether nothing is to be gained.
func (r *Root) Full() bool { return r.Room() < Slack }

// String is the state, as a plan shows it.
func (r *Root) String() string {
	if r.Full() {
		return r.Whole()
	}
	return fmt.Sprintf("%d MiB of %d", r.Size>>20, r.Disk.Size>>20)
}

// Whole is what String says when everything is taken.
func (r *Root) Whole() string { return fmt.Sprintf("all of %d MiB", r.Disk.Size>>20) }

// Chain names what will grow.
func (r *Root) Chain() string {
	var parts []string
	if r.Number > 0 {
		parts = append(parts, "partition "+r.Part.Name)
	}
	if r.PV > 0 {
		parts = append(parts, "logical volume "+r.Volume.Name)
	}
	return strings.Join(append(parts, r.FS), ", ")
}

// Look looks at the file system that is mounted at dir. It returns nil where there is nothing to grow: in a container, on
// an overlay, on the network, or on a file system of another kind.
func Look(dir string) (*Root, error) {
	if _, err := os.Stat("/run/systemd/container"); err == nil {
		return nil, nil // the disk is the host's
	}
	m, err := mountOf(dir)
	if err != nil || m == nil {
		return nil, err
	}
	r := &Root{FS: m.fs, dir: dir}
	if r.Volume, err = device("/sys/dev/block/" + m.number); err != nil {
		return nil, nil //nolint:nilerr // no block device
	}
	if !m.has(r.Volume) {
		return nil, nil
	}
	if r.Size, err = r.fileSystem(); err != nil {
		return nil, fmt.Errorf("cannot tell the size of %s: %w", dir, err)
	}
	return r, r.below()
}

// below finds partition and disk.
func (r *Root) below() error {
	r.Part = r.Volume
	if uuid, err := os.ReadFile(sys(r.Volume) + "/dm/uuid"); err == nil {
		if err := r.logical(string(uuid)); err != nil || r.Refused != "" {
			return err
		}
	}
	dir := sys(r.Part)
	r.Disk, r.SectorSize = r.Part, 512
	number, err := os.ReadFile(dir + "/partition")
	if err != nil {
		return nil //nolint:nilerr // a disk without partitions
	}
	up, err := parent(dir)
	if err != nil {
		return err
	}
	r.Number, _ = strconv.Atoi(strings.TrimSpace(string(number)))
	r.Start = 512 * readNumber(dir+"/start")
	r.SectorSize = max(512, readNumber(up+"/queue/logical_block_size"))
	if r.Disk, err = device(up); err != nil {
		return err
	}
	return r.behind(up)
}

// behind refuses to grow a partition that is not the last one.
func (r *Root) behind(disk string) error {
	list, err := os.ReadDir(disk)
	for _, e := range list {
		if readNumber(disk+"/"+e.Name()+"/start")*512 > r.Start {
			r.Refused = "partition " + e.Name() + " lies behind it"
		}
	}
	return err
}

// parent is the folder of the disk that a partition is on: the links of /sys lead to the partition's folder in the disk's.
func parent(partition string) (string, error) {
	to, err := os.Readlink(partition)
	return "/sys/class/block/" + path.Base(path.Dir(to)), err
}

// logical finds what a logical volume stands on.
func (r *Root) logical(uuid string) error {
	slaves, err := os.ReadDir(sys(r.Volume) + "/slaves")
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(uuid, "LVM-"):
		r.Refused = "it is on a mapped device that is no LVM volume"
		return nil
	case len(slaves) != 1:
		r.Refused = fmt.Sprintf("its logical volume is spread over %d disks", len(slaves))
		return nil
	}
	if r.Part, err = device(sys(r.Volume) + "/slaves/" + slaves[0].Name()); err != nil {
		return err
	}
	f, err := os.Open(r.Part.node())
	if err == nil {
		r.PV, err = pvSize(f)
		_ = f.Close() // it was read only
	}
	if err != nil {
		r.Refused = err.Error()
	}
	return nil
}

func sys(d Device) string { return "/sys/class/block/" + d.Name }

// device reads a device's folder in /sys.
func device(folder string) (Device, error) {
	to, err := os.Readlink(folder)
	return Device{Name: path.Base(to), Size: 512 * readNumber(folder+"/size")}, err
}

// readNumber reads a number that the kernel wrote; 0 where there is none.
func readNumber(name string) int64 {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// A mount is a line of the mount table.
type mount struct{ number, fs string }

// has tells whether the device's file is there and is that device: in a container it is not.
func (m *mount) has(d Device) bool {
	var st unix.Stat_t
	return unix.Stat(d.node(), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFBLK && number(st.Rdev) == m.number
}

func number(dev uint64) string { return fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev)) }

// mountOf finds what is mounted at dir; nil if it is of no kind that grows, or only a part of one.
func mountOf(dir string) (*mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	var m *mount
	for line := range strings.SplitSeq(string(text), "\n") {
		if p, found := parseMount(line); p == dir {
			m = found // the last one lies on top
		}
	}
	return m, err
}

// parseMount reads "id parent major:minor root point options ... - type source options" (proc_pid_mountinfo(5)).
func parseMount(line string) (string, *mount) {
	head, tail, ok := strings.Cut(line, " - ")
	f, t := strings.Fields(head), strings.Fields(tail)
	if !ok || len(f) < 5 || len(t) < 2 {
		return "", nil
	}
	m := &mount{number: f[2], fs: t[0]}
	switch {
	case m.fs == "btrfs": // its device number is made up, and its root may be a subvolume
		var st unix.Stat_t
		if unix.Stat(t[1], &st) != nil {
			return f[4], nil
		}
		m.number = number(st.Rdev)
	case m.fs != "ext4" && m.fs != "xfs" || f[3] != "/":
		return f[4], nil
	}
	return f[4], m
}

// Grow takes all of the disk, step by step. It may be called again after it was cut; unfinished says that this is so.
func (r *Root) Grow(ctx context.Context, unfinished bool) error {
	for _, step := range r.steps(unfinished) {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}
