//go:build integration

package disk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkInject puts one file of 8 MiB into a qcow2 image of 2 GiB: open, write, close, everything written back.
func BenchmarkInject(b *testing.B) {
	image := benchImage(b)
	data := make([]byte, 8*mib)
	for b.Loop() {
		i, err := Open(b.Context(), image, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := i.FS.WriteFile("usr/bin/firstboot", data, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := i.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInjectDebugfs is the same job for a raw image by debugfs, which needs neither root nor a mount.
func BenchmarkInjectDebugfs(b *testing.B) {
	image := benchImage(b)
	raw := image + ".raw"
	run(b, "qemu-img", "convert", "-O", "raw", image, raw)
	file := filepath.Join(filepath.Dir(image), "file")
	if err := os.WriteFile(file, make([]byte, 8*mib), 0o755); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		run(b, "debugfs", "-w", "-R", "rm usr/bin/firstboot", raw)
		run(b, "debugfs", "-w", "-R", "write "+file+" usr/bin/firstboot", raw)
	}
}

// BenchmarkOverlays makes 100 overlays of one image by our writer, and the other by qemu-img.
func BenchmarkOverlays(b *testing.B) {
	image := benchImage(b)
	dir := filepath.Dir(image)
	b.Run("goldsmith", func(b *testing.B) {
		overlays(b, dir, func(name string) {
			if err := CreateOverlay(name, image, OverlayOptions{}); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("qemu-img", func(b *testing.B) {
		overlays(b, dir, func(name string) {
			run(b, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", name)
		})
	})
}

func overlays(b *testing.B, dir string, one func(name string)) {
	for b.Loop() {
		for n := range 100 {
			name := filepath.Join(dir, fmt.Sprint("overlay", n))
			one(name)
			if err := os.Remove(name); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchImage is a qcow2 of 2 GiB with an ext4 root on it.
func benchImage(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "goldsmith-test-")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	raw, image := filepath.Join(dir, "raw"), filepath.Join(dir, "image.qcow2")
	root := filepath.Join(dir, "root")
	for _, d := range []string{"etc", "usr/bin"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=debian\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	run(b, "truncate", "-s", "2G", raw)
	run(b, "mkfs.ext4", "-q", "-F", "-d", root, raw)
	run(b, "qemu-img", "convert", "-O", "qcow2", raw, image)
	if err := os.Remove(raw); err != nil {
		b.Fatal(err)
	}
	return image
}

func run(b *testing.B, tool string, args ...string) {
	b.Helper()
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", tool, err, out)
	}
}
