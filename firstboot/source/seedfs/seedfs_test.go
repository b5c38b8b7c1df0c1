package seedfs

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const metaData = "instance-id: iid-7\nlocal-hostname: clone7.example.org\n"

func image(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReadsWhatTheToolsWrite(t *testing.T) {
	for _, c := range []struct{ image, label, file string }{
		{"nocloud.iso", "cidata", "meta-data"},
		{"joliet.iso", "CIDATA", "meta-data"},
		{"xorriso.iso", "cidata", "meta-data"},
		{"plain.iso", "cidata", "meta_dat"}, // what is left of the name without extensions; a kernel shows the same
		{"fat12.img", "CIDATA", "meta-data"},
		{"fat16.img", "CIDATA", "meta-data"},
		{"fat32.img", "CIDATA", "META-DATA"},
	} {
		v, err := Open(bytes.NewReader(image(t, c.image)))
		if err != nil {
			t.Errorf("%s: %v", c.image, err)
			continue
		}
		got, err := v.ReadFile(c.file)
		if v.Label != c.label || err != nil || string(got) != metaData {
			t.Errorf("%s: label %q, %s = %q, %v", c.image, v.Label, c.file, got, err)
		}
		if _, err := v.ReadFile("nonsense"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a file that is not there gives %v", c.image, err)
		}
	}
}

func TestReadsAnOpenNebulaContext(t *testing.T) {
	v, err := Open(bytes.NewReader(image(t, "context.iso")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.ReadFile("context.sh")
	if v.Label != "CONTEXT" || err != nil || !strings.Contains(string(got), "SET_HOSTNAME='clone7'") {
		t.Errorf("label %q, context.sh = %q, %v", v.Label, got, err)
	}
	if _, err := v.ReadFile("dir"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory is read as a file: %v", err)
	}
}

func TestOtherDevicesAreUnknown(t *testing.T) {
	mbr := make([]byte, 4096)
	mbr[510], mbr[511] = 0x55, 0xAA
	for name, data := range map[string][]byte{"empty": nil, "zeros": make([]byte, 1<<17), "partition table": mbr,
		"short": []byte("hello")} {
		if _, err := Open(bytes.NewReader(data)); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v, want ErrUnknown", name, err)
		}
	}
}

// A volume that breaks off is an error wherever that matters, and never a wrong content.
func TestTruncatedVolumes(t *testing.T) {
	for _, name := range []string{"nocloud.iso", "joliet.iso", "context.iso", "fat12.img"} {
		whole := image(t, name)
		for n := 0; n < len(whole); n += 512 {
			v, err := Open(bytes.NewReader(whole[:n]))
			if err != nil {
				continue
			}
			if got, err := v.ReadFile("meta-data"); err == nil && string(got) != metaData {
				t.Errorf("%s cut at %d: meta-data = %q", name, n, got)
			}
		}
	}
}

func TestFATChainThatLoopsEnds(t *testing.T) {
	data := image(t, "fat12.img")
	table := int(data[14])<<0 | int(data[15])<<8
	fat := data[table*512:]
	v, err := Open(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for i := 3; i < 30; i++ { // every cluster points at number 2
		fat[i] = []byte{0x02, 0x20, 0x00}[i%3]
	}
	if got, err := v.ReadFile("meta-data"); err == nil && len(got) != len(metaData) {
		t.Errorf("meta-data = %q", got)
	}
}

// Volumes of the tools with some bytes overwritten: whole random volumes would never get past the first sector.
func FuzzOpen(f *testing.F) {
	volumes := [][]byte{image(f, "nocloud.iso"), image(f, "context.iso"), image(f, "plain.iso"), image(f, "fat12.img")[:32<<10]}
	for which := range volumes {
		f.Add(uint8(which), uint32(16*isoSector+156), []byte{34, 0})
		f.Add(uint8(which), uint32(11), []byte{0, 2, 1})
	}
	f.Fuzz(func(t *testing.T, which uint8, at uint32, patch []byte) {
		data := bytes.Clone(volumes[int(which)%len(volumes)])
		copy(data[int(at)%len(data):], patch)
		v, err := Open(bytes.NewReader(data))
		if err != nil {
			return
		}
		for name := range v.files {
			if got, err := v.ReadFile(name); err == nil && len(got) > maxFile {
				t.Errorf("%q has %d bytes", name, len(got))
			}
		}
	})
}
