package builder

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"goldsmith/builder/disk"
	"goldsmith/builder/tree"
	"goldsmith/builder/vm/qemu"
)

// kernel finds a kernel to try KVM with: that of the disk which is to be booted, copied out of it, or this host's.
func (j *Job) kernel(ctx context.Context) (string, error) {
	j.wait("look for a kernel to try KVM with", 0, 0)
	image, err := disk.Open(ctx, j.writing.Disk(0), disk.Options{Throwaway: true})
	if err != nil {
		return "", err
	}
	out, err := copyKernel(image.FS, j.runDir())
	if err := errors.Join(err, image.Close()); err != nil {
		return "", err
	}
	if out != "" {
		return out, nil
	}
	return qemu.KernelIn()(ctx)
}

// copyKernel copies the newest kernel of a tree into dir. It is "" when there is none: a disk may have /boot on a partition of
// its own.
func copyKernel(root *tree.FS, dir string) (string, error) {
	entries, err := root.ReadDir("boot")
	if err != nil {
		return "", nil //nolint:nilerr // no /boot, no kernel
	}
	newest := ""
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "vmlinuz-") && !strings.Contains(e.Name(), "rescue") {
			newest = e.Name() // they are sorted
		}
	}
	if newest == "" {
		return "", nil
	}
	data, err := root.ReadFile(path.Join("boot", newest))
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, newest)
	return out, os.WriteFile(out, data, 0o600)
}
