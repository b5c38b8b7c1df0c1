package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// A stage is the root file system of an image on a host that cannot mount it: a copy of its bytes, and the files of that in
// a folder, which is what others see as the image's root. When the image is closed, debugfs takes over into the bytes what
// has changed in the folder; they are checked, and what differs is written into the image. Nothing reaches the image when
// any of that fails.
//
// A copy costs time and room where a mount costs neither, so this is the way for hosts that have no other.
type stage struct {
	volume Volume
	bytes  *os.File // has no name
	dir    string   // holds the folder "root", and files for debugfs
	tree   *tree.FS
	before map[string]fs.FileInfo
}

// stageRoot finds the root among the file systems that debugfs can read, and copies it out.
func (i *Image) stageRoot(ctx context.Context) error {
	var others []Volume
	var found []string
	for _, v := range i.Volumes {
		if !i.candidate(v) {
			continue
		}
		if err := i.canMount(v); err != nil {
			return err
		}
		if v.FS != fsExt4 && v.FS != "ext2" {
			others = append(others, v)
			continue
		}
		s, err := i.stage(ctx, v)
		if err != nil {
			return fmt.Errorf("cannot open %s of image %s: %w", v.Name, i.Path, err)
		}
		if s == nil {
			continue
		}
		if found = append(found, v.Name); i.staged != nil {
			return errors.Join(report.Faultf(report.Usage, "cannot open image %s: %s both hold a root file system", i.Path, strings.Join(found, " and ")).
				WithHint("say which one with --root %s", v.Name), s.close())
		}
		i.staged = s
	}
	switch {
	case i.staged == nil && len(others) > 0 && i.canGuest() == nil:
		return i.guestRoot(ctx, others)
	case i.staged == nil:
		return i.cannotStage(others)
	}
	if err := i.staged.pull(ctx); err != nil {
		return fmt.Errorf("cannot open %s of image %s: %w", i.staged.volume.Name, i.Path, err)
	}
	i.Root, i.FS = i.staged.volume.Name, i.staged.tree
	i.Method = "debugfs, on " + i.Method
	return i.stageBelow()
}

// cannotStage names what was tried.
func (i *Image) cannotStage(others []Volume) error {
	var names []string
	for _, v := range others {
		names = append(names, v.Name+" ("+v.FS+")")
	}
	f := report.Faultf(report.Usage, "cannot open image %s: this host cannot mount it (%w), and debugfs found no root on ext4; it has: %s",
		i.Path, i.access.why, nonEmpty(strings.Join(names, ", "), "no other file system that is known"))
	if len(others) > 0 {
		f = report.Faultf(report.Usage, "%w, for which libguestfs would serve: %w", f, i.canGuest())
	}
	if errors.Is(i.access.why, kernel.ErrNotRoot) {
		return f.WithHint("sudo goldsmith ...")
	}
	return f.WithHint("run it where /dev/loop-control and /dev/fuse are: xfs and btrfs need a mount")
}

// stageBelow refuses what a copy of one file system cannot do: writing to those that its fstab puts below it.
func (i *Image) stageBelow() error {
	text, err := i.FS.ReadFile("etc/fstab")
	if err != nil {
		return nil //nolint:nilerr // no fstab, no further file systems
	}
	var errs []error
	for _, e := range parseFstab(string(text)) {
		v, ok := i.volume(e.source)
		if !ok || v.Name == i.Root {
			continue
		}
		i.Skipped = append(i.Skipped, fmt.Sprintf("/%s: %s is %s, and only the root is copied out", e.dir, v.Name, nonEmpty(v.FS, "unknown")))
		if canOpen(v.FS) && !i.opt.ReadOnly && !i.opt.Throwaway {
			errs = append(errs, report.Faultf(report.Usage, "cannot write image %s: %s belongs to /%s, and without mounts only the root can be written (%w)",
				i.Path, v.Name, e.dir, i.access.why))
		}
	}
	return errors.Join(errs...)
}

// stage copies the bytes of a volume and replays its journal; nil if it is no root.
func (i *Image) stage(ctx context.Context, v Volume) (*stage, error) {
	f, err := nameless(tempDir())
	if err != nil {
		return nil, err
	}
	s := &stage{volume: v, bytes: f}
	if err := copySparse(ctx, f, io.NewSectionReader(i.reader(v), 0, v.Size)); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if v.dirty != "" {
		if err := s.e2fsck(ctx, "-y", "-E", "journal_only"); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	// Every line is an error where there is no such file.
	out, _, err := s.debugfs(ctx, false, "stat /etc/os-release", "stat /usr/lib/os-release", "stat /etc/fstab")
	if err != nil || !strings.Contains(out, "Inode:") {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// copySparse copies bytes and leaves holes where there are zeros.
func copySparse(ctx context.Context, to *os.File, from *io.SectionReader) error {
	buf, zeros := make([]byte, mib), make([]byte, mib)
	for at := int64(0); at < from.Size(); at += mib {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := from.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Equal(buf[:n], zeros[:n]) {
			continue
		}
		if _, err := to.WriteAt(buf[:n], at); err != nil {
			return err
		}
	}
	return to.Truncate(from.Size())
}

// debugfs runs commands. What it writes to standard error, apart from its name, is what went wrong: its exit code says
// nothing.
func (s *stage) debugfs(ctx context.Context, write bool, commands ...string) (out string, wrong []string, err error) {
	args := []string{"-f", "-", childFile}
	if write {
		args = append([]string{"-w"}, args...)
	}
	cmd := exec.CommandContext(ctx, "debugfs", args...)
	cmd.ExtraFiles = []*os.File{s.bytes}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGFS_PAGER=cat")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", nil, toolFault("debugfs", "e2fsprogs", err)
		}
		return "", nil, errors.Join(ctx.Err(), fmt.Errorf("debugfs: %w: %.200s", err, stderr.String()))
	}
	for line := range strings.Lines(stderr.String()) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "debugfs 1.") {
			wrong = append(wrong, line)
		}
	}
	return stdout.String(), wrong, nil
}

// e2fsck runs the checker on the bytes.
func (s *stage) e2fsck(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "e2fsck", append(args, childFile)...)
	cmd.ExtraFiles = []*os.File{s.bytes}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && !slices.Contains(args, "-n") {
		return nil // it has repaired something, as it should
	}
	if err != nil {
		return fmt.Errorf("e2fsck: %w: %.400s", err, bytes.TrimSpace(out))
	}
	return nil
}

// pull copies the files out. An ordinary user cannot give them their owners; those in the image stay what they are.
func (s *stage) pull(ctx context.Context) error {
	var err error
	if s.dir, err = os.MkdirTemp(tempDir(), ".goldsmith-stage-"); err != nil {
		return fmt.Errorf("cannot make temporary folder: %w", err)
	}
	root := filepath.Join(s.dir, "root")
	if err := os.Mkdir(root, 0o700); err != nil {
		return fmt.Errorf("cannot make temporary folder: %w", err)
	}
	_, wrong, err := s.debugfs(ctx, false, "rdump / "+quote(root))
	wrong = slices.DeleteFunc(wrong, func(line string) bool {
		return os.Geteuid() != 0 && strings.Contains(line, "changing ownership")
	})
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("debugfs: %.400s", strings.Join(wrong, "; "))
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(root, 0o700); err != nil { // nobody else's business, whatever the image says
		return err
	}
	if s.tree, err = tree.Open(root); err != nil {
		return err
	}
	s.before, err = s.list(true)
	return err
}

// list describes every file of the folder by its path. What its owner must not read would stop us, where we are not root.
func (s *stage) list(open bool) (map[string]fs.FileInfo, error) {
	root, out := filepath.Join(s.dir, "root"), map[string]fs.FileInfo{}
	return out, filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil && (!open || d == nil || os.Chmod(name, 0o700) != nil) {
			return err
		}
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		if mode := info.Mode(); open && os.Geteuid() != 0 && mode&fs.ModeSymlink == 0 && mode&0o600 != 0o600 {
			if err := os.Chmod(name, mode|0o600); err != nil {
				return err
			}
			if info, err = os.Lstat(name); err != nil {
				return err
			}
		}
		if rel, _ := filepath.Rel(root, name); rel != "." {
			out["/"+rel] = info
		}
		return nil
	})
}

// changed tells whether a file is not what it was: every write and every chmod moves its change time.
func changed(a, b fs.FileInfo) bool {
	x, ok1 := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return !ok1 || !ok2 || a.Mode() != b.Mode() || x.Ino != y.Ino || x.Ctim != y.Ctim || x.Size != y.Size
}

// close lets go of everything; what was not pushed is lost.
func (s *stage) close() error {
	errs := []error{s.bytes.Close()}
	if s.tree != nil {
		errs = append(errs, s.tree.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// commit brings what has changed into the image: into the bytes, through the checker, onto the disk.
func (s *stage) commit(ctx context.Context, i *Image) error {
	todo, err := s.push(ctx)
	if err != nil || !todo {
		return err
	}
	if err := s.e2fsck(ctx, "-fn"); err != nil {
		return err
	}
	return i.access.writeBack(ctx, s.dir, func(write func(stretch) error) error { return s.stretches(i, write) })
}

// stretches finds the bytes that differ from those on the disk.
func (s *stage) stretches(i *Image, write func(stretch) error) error {
	old, now := make([]byte, maxStretch), make([]byte, maxStretch)
	r := i.reader(s.volume)
	for at := int64(0); at < s.volume.Size; at += maxStretch {
		n := int(min(maxStretch, s.volume.Size-at))
		if _, err := r.ReadAt(old[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := s.bytes.ReadAt(now[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for from := 0; from < n; from += 64 << 10 {
			to := min(n, from+64<<10)
			if bytes.Equal(old[from:to], now[from:to]) {
				continue
			}
			for _, p := range s.volume.onDisk(at+int64(from), now[from:to]) {
				if err := write(p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// onDisk cuts a run of a volume's bytes into runs of the disk's.
func (v Volume) onDisk(at int64, data []byte) []stretch {
	segments := v.segments
	if len(segments) == 0 {
		segments = []segment{{v.Offset, v.Size}}
	}
	var list []stretch
	for _, seg := range segments {
		if at >= seg.size {
			at -= seg.size
			continue
		}
		n := min(int64(len(data)), seg.size-at)
		list = append(list, stretch{seg.offset + at, data[:n]})
		if data = data[n:]; len(data) == 0 {
			break
		}
		at = 0
	}
	return list
}

// quote writes a name as debugfs reads it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
