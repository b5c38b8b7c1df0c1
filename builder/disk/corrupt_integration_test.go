//go:build integration

package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"goldsmith/builder/disk/kernel"
)

// corruptions is how many broken images are opened. What is broken is what goldsmith reads itself: headers, partition
// tables, LVM's text, links. Each must end in an error or in success.
var corruptions = 400

// full opens 1,000.
var full = flag.Bool("full", false, "open 1,000 broken images (make proof)")

// A breaker damages an image.
type breaker struct {
	name  string
	image func(t *testing.T) string
	harm  func(r *rand.Rand, b patch)
}

// patch changes bytes of a file.
type patch struct {
	t *testing.T
	f *os.File
}

func (w patch) read(at, n int64) []byte {
	b := make([]byte, n)
	if _, err := w.f.ReadAt(b, at); err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w patch) write(at int64, b []byte) {
	if _, err := w.f.WriteAt(b, at); err != nil {
		w.t.Fatal(err)
	}
}

// flip changes a few bytes of a range, to values that parsers fear.
func (w patch) flip(r *rand.Rand, at, n int64) {
	for range 1 + r.IntN(6) {
		feared := []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32())}
		size := 1 << r.IntN(4)
		w.write(at+r.Int64N(n-int64(size)), bytes.Repeat(feared[r.IntN(len(feared)):][:1], size))
	}
}

var breakers = []breaker{
	{"gpt", func(t *testing.T) string { return handMadeSmall(t, gptDisk, "2") }, breakGPT},
	{"mbr", func(t *testing.T) string { return handMadeSmall(t, mbrDisk, "6") }, func(r *rand.Rand, w patch) {
		at := []int64{0, 31 * mib, 37 * mib}[r.IntN(3)] // the record and the links of the chain
		w.flip(r, at+440, 72)
	}},
	{"qcow2", func(t *testing.T) string {
		raw := handMadeSmall(t, gptDisk, "2")
		must(t, "qemu-img", "convert", "-O", "qcow2", raw, raw+".qcow2")
		return raw + ".qcow2"
	}, func(r *rand.Rand, w patch) {
		if r.IntN(2) == 0 {
			w.flip(r, 4, 140)
		} else {
			w.flip(r, 64<<10, 192<<10) // refcounts and tables
		}
	}},
	{"vmdk", func(t *testing.T) string {
		raw := handMadeSmall(t, gptDisk, "2")
		must(t, "qemu-img", "convert", "-O", "vmdk", raw, raw+".vmdk")
		return raw + ".vmdk"
	}, func(r *rand.Rand, w patch) { w.flip(r, 4, 2048) }},
	{"lvm", smallLVM, breakLVM},
}

// handMadeSmall is handMade, small.
func handMadeSmall(t *testing.T, script, root string) string {
	t.Helper()
	image := empty(t, scratch(t), 64*mib)
	sfdisk(t, image, script)
	mkfs(t, image, root, "ext4", osFiles(nil))
	return image
}

func smallLVM(t *testing.T) string {
	t.Helper()
	image := empty(t, scratch(t), 64*mib)
	sfdisk(t, image, "label: gpt\ntype=lvm\n")
	withDevice(t, image, "1", func(_ *Image, dev string) {
		lvm2(t, dev, "pvcreate", dev)
		lvm2(t, dev, "vgcreate", "vg", dev)
		lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "root", "-L", "16M", "vg")
		lvm2(t, dev, "lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", "gap", "-L", "8M", "vg")
		lvm2(t, dev, "lvextend", "-L", "+16M", "vg/root")
	})
	mkfs(t, image, "vg/root", "ext4", osFiles(nil))
	return image
}

// breakGPT damages the table, and half of the time makes its checksums right again, so that what is behind them is met.
func breakGPT(r *rand.Rand, w patch) {
	const header, entries = 512, 1024
	w.flip(r, header, 92)
	w.flip(r, entries, 512)
	if r.IntN(2) == 0 {
		w.flip(r, 64*mib-512, 92)
	}
	if r.IntN(2) == 0 {
		h := w.read(header, 92)
		copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
		clear(h[16:24])
		n := int64(binary.LittleEndian.Uint32(h[80:])) * int64(binary.LittleEndian.Uint32(h[84:]))
		if n > 0 && n < mib {
			binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(w.read(entries, n)))
		}
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h))
		w.write(header, h)
	}
}

// breakLVM damages label, header or text, and mostly makes the checksums right again.
func breakLVM(r *rand.Rand, w patch) {
	const pv, area = mib, mib + 4096
	sum := func(b []byte) uint32 { return ^crc32.Update(^uint32(0xf597a6cf), crc32.IEEETable, b) }
	h := w.read(area, 512)
	at, size := int64(binary.LittleEndian.Uint64(h[40:])), int64(binary.LittleEndian.Uint64(h[48:]))
	switch r.IntN(4) {
	case 0:
		w.flip(r, pv+512, 200)
		return
	case 1:
		w.flip(r, area, 80)
		h = w.read(area, 512)
	default:
		text := w.read(area+at, size)
		for range 1 + r.IntN(4) {
			i := r.IntN(len(text))
			old := text[i]
			switch {
			case old >= '0' && old <= '9':
				text[i] = "0123456789-"[r.IntN(11)]
			default:
				text[i] = "{}[]\"=#,\n9a\x00"[r.IntN(12)]
			}
		}
		w.write(area+at, text)
		binary.LittleEndian.PutUint32(h[56:], sum(text))
	}
	binary.LittleEndian.PutUint32(h, sum(h[4:]))
	w.write(area, h)
}

func TestCorruptedImages(t *testing.T) {
	outside := filepath.Join(scratch(t), "sentinel")
	if err := os.WriteFile(outside, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	if *full {
		corruptions = 1000
	}
	opened, refused := 0, 0
	each := corruptions / (len(breakers) + 1)
	for _, b := range breakers {
		base := b.image(t)
		for n := range each {
			err := survive(t, base, func(w patch) { b.harm(rand.New(rand.NewPCG(7, uint64(n))), w) }, n%2 == 0)
			if err == nil {
				opened++
			} else {
				refused++
			}
		}
	}
	links := handMadeSmall(t, gptDisk, "2")
	for n := range corruptions - each*len(breakers) {
		plantLinks(t, links, rand.New(rand.NewPCG(8, uint64(n))), outside)
		if err := survive(t, links, func(patch) {}, n%2 == 0); err != nil {
			t.Errorf("links %d: %v", n, err)
		}
		opened++
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "untouched" {
		t.Errorf("a file of the host became %q, %v", got, err)
	}
	if st, err := os.Stat(outside); err != nil || st.Mode() != 0o644 {
		t.Errorf("a file of the host became %v, %v", st, err)
	}
	if out := must(t, "losetup", "-a"); strings.Contains(out, "goldsmith-test") {
		t.Errorf("a loop device was left behind: %s", out)
	}
	t.Logf("%d opened, %d refused", opened, refused)
	if opened < corruptions/4 || refused < corruptions/4 {
		t.Errorf("the damage is one-sided: %d opened, %d refused", opened, refused)
	}
}

// patience is how long one image may take. On a disk that others write to, the kernel alone can take a minute.
const patience = 5 * time.Minute

// survive damages a copy of base and does to it what a user would.
func survive(t *testing.T, base string, harm func(patch), throwaway bool) error {
	t.Helper()
	image := filepath.Join(filepath.Dir(base), "harmed")
	f, err := os.OpenFile(image, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	src, err := os.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	st, err := src.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := kernel.CopyFile(t.Context(), f, src, st.Size(), func(int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	src.Close()
	harm(patch{t, f})
	f.Close()
	done := make(chan error, 1)
	go func() { done <- use(t.Context(), image, Options{Throwaway: throwaway}) }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 2) // where
		t.Fatalf("%s hangs", image)
		return nil
	}
}

// use opens an image, reads and writes every file that it finds, and closes it.
func use(ctx context.Context, image string, o Options) error {
	i, err := Open(ctx, image, o)
	if err != nil {
		return err
	}
	seen := 0
	_ = fs.WalkDir(i.FS, ".", func(name string, _ fs.DirEntry, err error) error {
		if seen++; err != nil || seen > 500 {
			return fs.SkipAll
		}
		_, _ = i.FS.ReadFile(name) // a damaged file may fail
		_ = i.FS.Chmod(name, 0o755)
		_ = i.FS.WriteFile(name, []byte("overwritten"), 0o600)
		_ = i.FS.WriteFile(name+"/below", []byte("overwritten"), 0o600)
		return nil
	})
	return i.Close()
}

// plantLinks puts links that lead outside, by every way there is, into an image.
func plantLinks(t *testing.T, image string, r *rand.Rand, outside string) {
	t.Helper()
	i, err := Open(t.Context(), image, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := i.FS.RemoveAll("links"); err != nil {
		t.Fatal(err)
	}
	put(t, i.FS, map[string]string{"links/": ""})
	targets := []string{outside, filepath.Dir(outside), strings.Repeat("../", r.IntN(20)) + outside[1:], "/proc/self/root" + outside,
		"/proc/1/cwd", "/dev/loop0", "link0", "link1/link2", "/links/link0/..", "/", "..", "//" + outside, "/proc/self/fd/1"}
	for n := range 8 {
		if err := i.FS.Symlink(targets[r.IntN(len(targets))], fmt.Sprintf("links/link%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
}
