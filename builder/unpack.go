package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk"
	"goldsmith/builder/layer"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// trees is where trees of disk images are kept, for clones that are no virtual machines.
func (h Home) trees() string { return filepath.Join(h.Dir, "cache", "trees") }

// Unpack returns the root tree of a disk image, to be used below overlays only. It is copied once; an image that was
// changed since, or that stands on one that was, is another one. waiting is called where that takes time.
func (h Home) Unpack(ctx context.Context, image string, waiting func(what string)) (root string, err error) {
	key, err := fileKey(image)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(h.trees(), key)
	l, err := h.lockWait(ctx, "tree-"+key, func(error) { waiting("another goldsmith that unpacks " + image) })
	if err != nil {
		return "", err
	}
	defer l.release()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(h.trees(), 0o700); err != nil {
		return "", fmt.Errorf("cannot unpack %s: %w", image, err)
	}
	waiting("the tree of " + image + " to be unpacked")
	part := dir + ".new"
	if err := layer.RemoveTree(part); err != nil {
		return "", err
	}
	if err := h.unpack(ctx, image, part); err != nil {
		return "", errors.Join(err, layer.RemoveTree(part))
	}
	return dir, os.Rename(part, dir)
}

// unpack copies the tree.
func (h Home) unpack(ctx context.Context, image, dst string) (err error) {
	i, err := disk.Open(ctx, image, disk.Options{ReadOnly: true, Exact: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	src, err := i.FS.OpenFile(".", os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	size, err := tree.Measure(ctx, int(src.Fd()))
	if err != nil {
		return err
	}
	if err := disk.CheckRoom(h.trees(), size.Bytes); err != nil {
		return err
	}
	if err := os.Mkdir(dst, 0o755); err != nil {
		return fmt.Errorf("cannot unpack %s: %w", image, err)
	}
	to, err := os.Open(dst)
	if err != nil {
		return fmt.Errorf("cannot unpack %s: %w", image, err)
	}
	defer to.Close()
	if err := tree.Copy(ctx, int(to.Fd()), int(src.Fd()), nil); err != nil {
		return fmt.Errorf("cannot unpack %s: %w", image, err)
	}
	return nil
}

// fileKey names the content of an image by what the file system says of its files: reading all of it would take longer
// than to unpack it.
func fileKey(image string) (string, error) {
	files, err := disk.Files(image)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, f := range files {
		var st unix.Stat_t
		if err := unix.Stat(f, &st); err != nil {
			return "", report.Faultf(report.Usage, "cannot look at image: %w", &fs.PathError{Op: "stat", Path: f, Err: err})
		}
		fmt.Fprintf(h, "%s %d %d %d %d.%d\n", f, st.Dev, st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec)
	}
	return hex.EncodeToString(h.Sum(nil)[:10]), nil
}

// cleanTrees removes the trees that nobody is unpacking and that are not used.
func (h Home) cleanTrees(used []string) (removed []string, err error) {
	found, err := filepath.Glob(filepath.Join(h.trees(), "*"))
	for _, dir := range found {
		if slices.Contains(used, dir) || filepath.Ext(dir) == ".new" {
			continue
		}
		l, e := h.lock("tree-" + filepath.Base(dir))
		if errors.Is(e, errBusy) {
			continue
		}
		if e != nil {
			return removed, e
		}
		e = layer.RemoveTree(dir)
		l.release()
		if e != nil {
			return removed, e
		}
		removed = append(removed, dir)
	}
	return removed, err
}
