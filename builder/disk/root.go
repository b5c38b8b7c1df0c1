package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// mountRoot finds the root file system, mounts it, and mounts on it what its fstab says.
func (i *Image) mountRoot(ctx context.Context) error {
	switch why := i.access.why; {
	case why != nil && i.opt.Exact:
		return report.Faultf(report.Usage, "cannot open image %s: this host cannot mount it: %w", i.Path, why).
			WithHint("run it as root, where /dev/loop-control and /dev/fuse are")
	case why != nil:
		return i.stageRoot(ctx)
	}
	v, option, err := i.findRoot(ctx)
	if err != nil {
		return err
	}
	m, err := i.mount(v, i.readOnly(), option)
	if err != nil {
		return err
	}
	i.mounted = append(i.mounted, m)
	i.Root, i.FS = v.Name, tree.At(m.mount.Fd())
	return i.mountBelow(ctx, m)
}

// findRoot looks into every file system that it can open. One that it cannot open is an error only if no other is a root.
func (i *Image) findRoot(ctx context.Context) (Volume, string, error) {
	type root struct {
		v      Volume
		option string
	}
	var roots []root
	var refused []error
	for _, v := range i.Volumes {
		if !i.candidate(v) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return Volume{}, "", err
		}
		option, found, err := i.looksLikeRoot(v)
		switch {
		case err != nil:
			refused = append(refused, err)
		case found:
			roots = append(roots, root{v, option})
		}
	}
	switch {
	case len(roots) == 1:
		return roots[0].v, roots[0].option, nil
	case len(roots) > 1:
		return Volume{}, "", report.Faultf(report.Usage, "cannot open image %s: %s and %s both hold a root file system",
			i.Path, roots[0].v.Name, roots[1].v.Name).WithHint("say which one with --root %s", roots[0].v.Name)
	case len(refused) > 0:
		return Volume{}, "", errors.Join(refused...)
	}
	return Volume{}, "", i.noRoot()
}

// candidate reports whether a volume may hold the root: it was named, or it holds a file system that we know.
func (i *Image) candidate(v Volume) bool {
	if i.opt.Root != "" {
		return v.Name == i.opt.Root
	}
	return canOpen(v.FS)
}

// noRoot says what there is instead.
func (i *Image) noRoot() error {
	var list []string
	for _, v := range i.Volumes {
		entry := v.Name + " " + nonEmpty(v.FS, "unknown")
		if v.Refused != "" {
			entry += " (" + v.Refused + ")"
		}
		list = append(list, entry)
	}
	return report.Faultf(report.Usage, "cannot open image %s: no root file system in it; it has: %s", i.Path,
		nonEmpty(strings.Join(list, ", "), "nothing"))
}

// rootOptions are the mount options to try: distributions keep the root in a btrfs subvolume of their own.
func rootOptions(fs string) []string {
	if fs == fsBtrfs {
		return []string{"", "subvol=@", "subvol=root", "subvol=@rootfs"}
	}
	return []string{""}
}

// looksLikeRoot mounts a volume read-only and looks.
func (i *Image) looksLikeRoot(v Volume) (string, bool, error) {
	if err := i.canMount(v); err != nil {
		return "", false, err
	}
	for n, option := range rootOptions(v.FS) {
		m, err := i.mount(v, true, option)
		if err != nil && n > 0 {
			continue // no such subvolume
		}
		if err != nil {
			return "", false, err
		}
		found := isRoot(tree.At(m.mount.Fd()))
		if err := m.close(); err != nil {
			return "", false, err
		}
		if found {
			return option, true, nil
		}
	}
	return "", false, nil
}

// isRoot reports whether a directory looks like the root of a Linux.
func isRoot(fs *tree.FS) bool {
	return fs.Exists("etc") && (fs.Exists("etc/os-release") || fs.Exists("usr/lib/os-release") || fs.Exists("etc/fstab") &&
		(fs.Exists("sbin/init") || fs.Exists("usr/bin") || fs.Exists("bin")))
}

// mount mounts a volume. ReadOnly concerns the file system: a journal is replayed all the same, unless the image was
// opened read-only, and then canMount has refused one that has to be.
func (i *Image) mount(v Volume, readOnly bool, option string) (*mounted, error) {
	fsType, options := v.FS, []string{}
	switch v.FS {
	case "ext2", fsExt4:
		fsType = fsExt4 // the driver that this kernel has for both
		// The superblock may say that the kernel shall panic on an error in it, and it is not our superblock.
		options = append(options, "errors=remount-ro")
	case fsXFS:
		options = append(options, "nouuid") // another clone of the image may be open
	case fsBtrfs:
		if _, err := os.Stat("/sys/fs/btrfs/" + v.UUID); err == nil {
			return nil, report.Faultf(report.Usage, "cannot open %s of image %s: a btrfs with the same UUID %s is mounted on this host, and the kernel would mix them up",
				v.Name, i.Path, v.UUID)
		}
	}
	if option != "" {
		options = append(options, option)
	}
	m, err := i.attach(v, i.readOnly())
	if err != nil {
		return nil, err
	}
	m.mount, err = kernel.New(fsType, m.loop.Path, readOnly, options...)
	if err != nil {
		err = report.Faultf(report.Usage, "cannot open %s of image %s: %w", v.Name, i.Path, err)
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

// mountBelow mounts what the root's fstab puts on directories of it, as far as it is in this image.
func (i *Image) mountBelow(ctx context.Context, root *mounted) error {
	text, err := i.FS.ReadFile("etc/fstab")
	if err != nil {
		return nil // no fstab, no further file systems
	}
	var points []kernel.Point
	for _, e := range parseFstab(string(text)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := i.mountEntry(root, e)
		if err != nil {
			return err
		}
		if m != nil {
			i.mounted = append(i.mounted, m)
			points = append(points, kernel.Point{Dir: e.dir, Mount: m.mount})
		}
	}
	if len(points) == 0 {
		return nil
	}
	i.space, err = kernel.Join(root.mount, points)
	return err
}

// mountEntry mounts what one line of the fstab means, if it is in this image and we can.
func (i *Image) mountEntry(root *mounted, e fstabEntry) (*mounted, error) {
	v, ok := i.volume(e.source)
	switch {
	case !ok:
		return nil, nil
	case v.Name == i.Root && v.FS == fsBtrfs && e.subvol != "": // another subvolume of the root's file system
		mount, err := kernel.New(fsBtrfs, root.loop.Path, i.readOnly(), e.subvol)
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot open %s of image %s: %w", v.Name, i.Path, err)
		}
		return &mounted{mount: mount}, nil
	case v.Name == i.Root:
		return nil, nil
	case !canOpen(v.FS):
		i.Skipped = append(i.Skipped, fmt.Sprintf("/%s: %s is %s", e.dir, v.Name, nonEmpty(v.FS, "unknown")))
		return nil, nil
	}
	if err := i.canMount(v); err != nil {
		return nil, err
	}
	return i.mount(v, i.readOnly(), e.subvol)
}

// An fstabEntry is a file system below the root.
type fstabEntry struct {
	source string // as written: UUID=, LABEL=, PARTUUID=, PARTLABEL=, /dev/...
	dir    string // without the leading slash
	subvol string // "subvol=name", if given
}

// maxFstab bounds what an image can make us mount.
const maxFstab = 64

// parseFstab lists what is mounted below /, parents first.
func parseFstab(text string) []fstabEntry {
	var list []fstabEntry
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 || strings.HasPrefix(f[0], "#") || !path.IsAbs(f[1]) || f[2] == "swap" {
			continue
		}
		e := fstabEntry{source: strings.ReplaceAll(f[0], `"`, ""), dir: strings.TrimPrefix(path.Clean(f[1]), "/")}
		if len(f) > 3 {
			for o := range strings.SplitSeq(f[3], ",") {
				if strings.HasPrefix(o, "subvol=") {
					e.subvol = o
				}
			}
		}
		if e.dir != "" && len(list) < maxFstab {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b fstabEntry) int { return strings.Compare(a.dir, b.dir) })
	return list
}

// volume finds the volume that a source in fstab means.
func (i *Image) volume(source string) (Volume, bool) {
	for _, v := range i.Volumes {
		if v.isSource(source) {
			return v, true
		}
	}
	return Volume{}, false
}

func (v Volume) isSource(source string) bool {
	tag, value, tagged := strings.Cut(source, "=")
	switch {
	case tagged && tag == "UUID":
		return v.UUID != "" && strings.EqualFold(v.UUID, value)
	case tagged && tag == "LABEL":
		return v.FSLabel != "" && v.FSLabel == value
	case tagged && tag == "PARTUUID":
		return v.PartUUID != "" && strings.EqualFold(v.PartUUID, value)
	case tagged && tag == "PARTLABEL":
		return v.Label != "" && v.Label == value
	}
	if group, name, ok := strings.Cut(v.Name, "/"); ok {
		// The device mapper doubles the dashes that are part of a name.
		mapped := strings.ReplaceAll(group, "-", "--") + "-" + strings.ReplaceAll(name, "-", "--")
		return source == "/dev/"+v.Name || source == "/dev/mapper/"+mapped
	}
	for _, disk := range []string{"/dev/sda", "/dev/vda", "/dev/xvda", "/dev/hda", "/dev/nvme0n1p"} {
		if source == disk+v.Name {
			return true
		}
	}
	return false
}
