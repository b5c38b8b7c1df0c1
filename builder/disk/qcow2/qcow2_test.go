package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made writes an overlay and returns its bytes.
func made(t testing.TB, o Overlay) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "overlay")
	if err := o.Create(name); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOverlayReadsBack(t *testing.T) {
	for _, c := range []struct {
		o    Overlay
		file int // bytes
	}{
		{Overlay{"/images/golden.qcow2", "qcow2", 4 << 30}, 4 * clusterSize},
		{Overlay{"golden.raw", "raw", 512}, 4 * clusterSize},
		{Overlay{strings.Repeat("x", 1023), "qcow2", 40 << 40}, 13 * clusterSize},
	} {
		b := made(t, c.o)
		if len(b) != c.file {
			t.Errorf("%v: %d bytes, want %d", c.o.Size, len(b), c.file)
		}
		got, err := Read(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		want := &Header{Version: 3, Size: c.o.Size, ClusterSize: clusterSize, Backing: c.o.Backing, BackingFormat: c.o.BackingFormat}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
	}
}

func TestOverlayRefuses(t *testing.T) {
	dir := t.TempDir()
	good := Overlay{"b", "raw", 1 << 20}
	for _, c := range []struct {
		name   string
		change func(*Overlay)
		want   string
	}{
		{"no backing file", func(o *Overlay) { o.Backing = "" }, "0 bytes"},
		{"long name", func(o *Overlay) { o.Backing = strings.Repeat("x", 1024) }, "1024 bytes"},
		{"no format", func(o *Overlay) { o.BackingFormat = "" }, `format ""`},
		{"no size", func(o *Overlay) { o.Size = 0 }, "0 bytes"},
		{"odd size", func(o *Overlay) { o.Size = 1000 }, "1000 bytes"},
		{"too large", func(o *Overlay) { o.Size = 1 << 52 }, "not supported"},
	} {
		o := good
		c.change(&o)
		if err := o.Create(filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if got, _ := filepath.Glob(filepath.Join(dir, "*")); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	name := filepath.Join(dir, "taken")
	if err := os.WriteFile(name, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := good.Create(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	if b, _ := os.ReadFile(name); string(b) != "precious" {
		t.Errorf("an existing file was written")
	}
}

func TestReadRefuses(t *testing.T) {
	good := made(t, Overlay{"backing", "qcow2", 1 << 30})
	for _, c := range []struct {
		name  string
		at    int
		bytes []byte
		want  string
	}{
		{"magic", 0, []byte("QFIx"), "no header"},
		{"version", 4, be32(4), "version 4"},
		{"name offset", 8, be64(clusterSize), "backing name"},
		{"name offset wraps", 8, be64(1<<64 - 1), "backing name"},
		{"name length", 16, be32(2000), "2000 bytes"},
		{"small clusters", 20, be32(8), "2^8"},
		{"huge clusters", 20, be32(63), "2^63"},
		{"size", 24, be64(1 << 63), "disk of"},
		{"encryption", 32, be32(9), "method 9"},
		{"short first table", 36, be32(1), "first table"},
		{"huge first table", 36, be32(1 << 31), "first table"},
		{"crooked first table", 40, be64(5), "first table at 5"},
		{"no first table", 40, be64(0), "first table at 0"},
		{"crooked refcount table", 48, be64(5), "refcount table at 5"},
		{"no refcount table", 56, be32(0), "0 clusters"},
		{"huge refcount table", 56, be32(1 << 20), "refcount table"},
		{"snapshots", 60, be32(1 << 20), "snapshots"},
		{"features", 72, be64(1 << 40), "unknown incompatible features 0x10000000000"},
		{"refcount width", 96, be32(7), "2^7"},
		{"header length", 100, be32(90), "90 bytes"},
		{"extension length", 108, be32(1 << 30), "extension"},
		{"zero byte in name", 130, []byte{0}, "zero byte"},
	} {
		b := bytes.Clone(good)
		copy(b[c.at:], c.bytes)
		if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := Read(bytes.NewReader(good[:50])); !errors.Is(err, ErrFormat) {
		t.Errorf("cut off: %v", err)
	}
	if _, err := Read(bytes.NewReader(good[:130])); !errors.Is(err, ErrFormat) {
		t.Errorf("cut off in the name: %v", err)
	}
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func FuzzRead(f *testing.F) {
	head := made(f, Overlay{"backing", "qcow2", 1 << 30})[:512]
	f.Add(head)
	v2 := bytes.Clone(head)
	v2[7] = 2
	f.Add(v2)
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Read(bytes.NewReader(b))
		if err == nil && (h.Size < 0 || len(h.Backing) > maxBackingName) {
			t.Errorf("accepted %+v", h)
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		name := filepath.Join(dir, "overlay")
		if err := (Overlay{"backing", "raw", 10 << 30}).Create(name); err != nil {
			b.Fatal(err)
		}
		if err := os.Remove(name); err != nil {
			b.Fatal(err)
		}
	}
}
