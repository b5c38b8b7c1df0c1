package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// writeFstab makes / come from the file system with that UUID and keeps every other line.
func writeFstab(root *tree.FS, uuid string) error {
	old, err := root.ReadFile("etc/fstab")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read fstab of the tree: %w", err)
	}
	if err := root.MkdirAll("etc", 0o755); err != nil {
		return fmt.Errorf("cannot write fstab: %w", err)
	}
	if err := root.WriteFile("etc/fstab", []byte(fstab(string(old), uuid)), 0o644); err != nil {
		return fmt.Errorf("cannot write fstab: %w", err)
	}
	return nil
}

// fstab replaces the line of / in old, or puts one in front.
func fstab(old, uuid string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "UUID=%s / ext4 errors=remount-ro 0 1\n", uuid)
	for line := range strings.Lines(old) {
		f := strings.Fields(line)
		isRoot := len(f) > 1 && !strings.HasPrefix(f[0], "#") && f[1] == "/"
		if isRoot || strings.TrimSpace(line) == "# UNCONFIGURED FSTAB FOR BASE SYSTEM" {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

// A bootKernel is a kernel in /boot and the initial ram disk that belongs to it.
type bootKernel struct {
	version string
	image   string // path in the tree
	initrd  string
}

// findKernels lists the kernels that can be booted, the newest first.
func findKernels(root *tree.FS) ([]bootKernel, error) {
	images, err := fs.Glob(root, "boot/vmlinuz-*")
	if err != nil {
		return nil, fmt.Errorf("cannot look for kernels: %w", err)
	}
	var list []bootKernel
	for _, image := range images {
		v := strings.TrimPrefix(path.Base(image), "vmlinuz-")
		for _, initrd := range []string{"initrd.img-" + v, "initramfs-" + v + ".img", "initrd-" + v} {
			if p := path.Join("boot", initrd); root.Exists(p) && !strings.Contains(v, "rescue") {
				list = append(list, bootKernel{version: v, image: image, initrd: p})
				break
			}
		}
	}
	if len(list) == 0 {
		return nil, report.Faultf(report.Usage, "cannot make the image bootable: /boot has no kernel with an initial ram disk").
			WithHint("install a kernel in the tree, for Debian: linux-image-cloud-amd64")
	}
	slices.SortFunc(list, func(a, b bootKernel) int { return compareVersions(b.version, a.version) })
	return list, nil
}

// compareVersions orders 5.10.0 after 5.9.0: runs of digits are compared as numbers, the rest as text.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingRun(a), leadingRun(b)
		a, b = a[len(x):], b[len(y):]
		if isDigit(rune(x[0])) && isDigit(rune(y[0])) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if d := cmp.Compare(len(x), len(y)); d != 0 {
				return d
			}
		}
		if d := cmp.Compare(x, y); d != 0 {
			return d
		}
	}
	return cmp.Compare(len(a), len(b))
}

// leadingRun is the longest start of s, which is not empty, that is all digits or all something else.
func leadingRun(s string) string {
	digits := isDigit(rune(s[0]))
	if i := strings.IndexFunc(s, func(r rune) bool { return isDigit(r) != digits }); i > 0 {
		return s[:i]
	}
	return s
}

func isDigit(r rune) bool { return r <= unicode.MaxASCII && unicode.IsDigit(r) }

// grubHead makes GRUB speak on the screen and on the serial line; without a serial port only the screen is left.
const grubHead = `# Written by goldsmith when the image was made.
set timeout=1
set default=0
if serial --unit=0 --speed=115200; then
  terminal_input --append serial
  terminal_output --append serial
fi
`

// writeGRUBConfig writes one entry for each kernel. Where the tree has the links /vmlinuz and /initrd.img, which Debian
// points to the newest kernel, the first entry goes through them, so that a clone boots its upgraded kernel.
func writeGRUBConfig(root *tree.FS, kernels []bootKernel, cmdline, more string) error {
	if root.Exists("vmlinuz") && root.Exists("initrd.img") {
		kernels = slices.Insert(slices.Clone(kernels), 0, bootKernel{"newest", "vmlinuz", "initrd.img"})
	}
	var b strings.Builder
	b.WriteString(grubHead)
	for _, k := range kernels {
		fmt.Fprintf(&b, "menuentry 'Linux %s' {\n  linux /%s %s\n  initrd /%s\n}\n",
			k.version, k.image, strings.TrimSpace(cmdline+" "+more), k.initrd)
	}
	if err := root.MkdirAll("boot/grub", 0o755); err != nil {
		return fmt.Errorf("cannot write boot menu: %w", err)
	}
	if err := root.WriteFile("boot/grub/grub.cfg", []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("cannot write boot menu: %w", err)
	}
	return nil
}
