package disk

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	full := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(full, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return full
}

func TestSniff(t *testing.T) {
	vdi := make([]byte, 512)
	copy(vdi[0x40:], "\x7f\x10\xda\xbe")
	tail := append(make([]byte, 1024), append([]byte("conectix"), make([]byte, 504)...)...)
	for _, c := range []struct{ name, data, want string }{
		{"qcow2", "QFI\xfb", "qcow2"},
		{"sparse vmdk", "KDMV", "vmdk"},
		{"vmdk descriptor", "# Disk DescriptorFile\n", "vmdk"},
		{"vhdx", "vhdxfile", "vhdx"},
		{"dynamic vhd", "conectix", "vpc"},
		{"fixed vhd", string(tail), "vpc"},
		{"vdi", string(vdi), "vdi"},
		{"tar", strings.Repeat("x", 257) + "ustar\x00", "ova"},
		{"zeros", strings.Repeat("\x00", 4096), "raw"},
		{"nothing", "", "raw"},
	} {
		if got := sniff(strings.NewReader(c.data), int64(len(c.data))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestVMDKMustNotLeadAway(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "flat.vmdk"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.vmdk")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, lines, want string }{
		{"beside", `RW 100 FLAT "flat.vmdk" 0`, ""},
		{"zeros", `RW 100 ZERO`, ""},
		{"absolute", `RW 100 FLAT "/etc/shadow" 0`, "another directory"},
		{"upwards", `RW 100 FLAT "../shadow" 0`, "another directory"},
		{"dots", `RW 100 FLAT ".." 0`, "another directory"},
		{"read-only", `RDONLY 100 FLAT "/etc/shadow" 0`, "another directory"},
		{"link", `RW 100 FLAT "link.vmdk" 0`, "no regular file"},
		{"missing", `RW 100 FLAT "gone.vmdk" 0`, "no regular file"},
		{"snapshot", "parentCID=12345678", "snapshot of another"},
		{"no parent", "parentCID=FFFFFFFF", ""},
	} {
		err := checkVMDK(strings.NewReader("# Disk DescriptorFile\n"+c.lines+"\n"), dir)
		if got := errText(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	sparse := make([]byte, 1024)
	copy(sparse, "KDMV")
	if err := checkVMDK(bytes.NewReader(sparse), dir); err == nil || !strings.Contains(err.Error(), "no data of its own") {
		t.Errorf("a sparse one that only points elsewhere: %v", err)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestBackingPath(t *testing.T) {
	for backing, want := range map[string]string{
		"base.qcow2": "/images/base.qcow2", "../base": "/base", "/abs/../x": "/x", "./a:b": "/images/a:b",
		"nbd:unix:/x": "", "json:{}": "", "file:base": "", "fat:/etc": "",
	} {
		got, err := backingPath("/images/over.qcow2", backing)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v, want %q", backing, got, err, want)
		}
	}
}

func FuzzChain(f *testing.F) {
	f.Add([]byte("QFI\xfb\x00\x00\x00\x03"))
	f.Add([]byte("KDMV\x01\x00\x00\x00"))
	f.Add([]byte("# Disk DescriptorFile\nRW 1 FLAT \"x\" 0\n"))
	f.Add([]byte(strings.Repeat("a", 257) + "ustar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := write(t, "image", data)
		list, err := chain(name, "")
		if err == nil && (len(list) != 1 || list[0].Path != name) {
			t.Errorf("chain is %v", list)
		}
	})
}

// memoryFile is a disk in memory, as go-diskfs wants it.
type memoryFile struct {
	*bytes.Reader
}

func (memoryFile) Stat() (os.FileInfo, error) { return nil, os.ErrInvalid }
func (memoryFile) Close() error               { return nil }

// gptBytes is a small disk with the partition table that Make writes.
func gptBytes(f testing.TB) []byte {
	f.Helper()
	name := filepath.Join(f.TempDir(), "disk")
	file, err := os.Create(name)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	l := newLayout(4 * mib)
	if err := file.Truncate(l.size); err != nil {
		f.Fatal(err)
	}
	if err := l.write(file); err != nil {
		f.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func TestReadsOwnTable(t *testing.T) {
	b := gptBytes(t)
	for _, broken := range []bool{false, true} {
		if broken {
			clear(b[512:1024]) // the backup at the end serves
		}
		kind, list, err := readTable(memoryFile{bytes.NewReader(b)}, int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range list {
			got = append(got, v.Name+" "+v.Label)
		}
		if diff := cmp.Diff([]string{"1 root", "14 BIOS boot"}, got); diff != "" || kind != "gpt" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	mbrDisk := func(change func(b []byte)) []byte {
		b := make([]byte, 1<<20)
		b[510], b[511] = 0x55, 0xaa
		copy(b[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0})
		copy(b[462:], []byte{0, 0, 0, 0, 5, 0, 0, 0, 100, 0, 0, 0, 200, 0, 0, 0})
		link := b[100*512:]
		link[510], link[511] = 0x55, 0xaa
		copy(link[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 10, 0, 0, 0})
		change(b)
		return b
	}
	for _, c := range []struct {
		name string
		disk []byte
		want string
	}{
		{"good", mbrDisk(func([]byte) {}), ""},
		{"beyond the end", mbrDisk(func(b []byte) { b[446+14] = 1 }), "ends beyond the disk"},
		{"no link", mbrDisk(func(b []byte) { b[100*512+510] = 0 }), "no boot record"},
		{"logical outside", mbrDisk(func(b []byte) { b[100*512+446+13] = 1 }), "not inside"},
		{"chain to itself", mbrDisk(func(b []byte) {
			link := b[100*512:]
			copy(link[462:], []byte{0, 0, 0, 0, 5, 0, 0, 0, 50, 0, 0, 0, 1, 0, 0, 0})
			copy(b[150*512:], link[:512]) // links to itself
		}), "does not go forward"},
		{"too short", []byte{1}, "EOF"},
	} {
		_, _, err := readTable(memoryFile{bytes.NewReader(c.disk)}, int64(len(c.disk)))
		if c.want == "" && err != nil || !strings.Contains(errText(err), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzTable(f *testing.F) {
	whole := gptBytes(f)
	f.Add(whole[:4096], whole[len(whole)-512:])
	f.Add(make([]byte, 512), []byte{})
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		disk := make([]byte, 1<<20)
		copy(disk, head)
		copy(disk[len(disk)-512:], tail)
		_, list, err := readTable(memoryFile{bytes.NewReader(disk)}, int64(len(disk)))
		if err != nil {
			return
		}
		for _, v := range list {
			if v.Offset < 0 || v.Size <= 0 || v.Offset+v.Size > int64(len(disk)) {
				t.Errorf("accepted %+v", v)
			}
		}
	})
}

func FuzzProbe(f *testing.F) {
	f.Add([]byte("XFSB"))
	ext := make([]byte, 0x440)
	copy(ext[0x438:], "\x53\xef")
	f.Add(ext)
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Volume
		probe(&v, bytes.NewReader(append(b, make([]byte, 8192)...)))
	})
}

func TestFstabEntries(t *testing.T) {
	got := parseFstab(`# comment
UUID=1 / ext4 defaults 0 1
/dev/vg/var /var xfs defaults 0 0
/dev/vg/log /var/log/ xfs defaults,subvol=@log 0 0
LABEL="boot" /boot ext4
none /relative/../../up tmpfs
/dev/vda2 none swap sw
/dev/vda3 swap swap sw
short line
`)
	want := []fstabEntry{{"LABEL=boot", "boot", ""}, {"none", "up", ""}, {"/dev/vg/var", "var", ""}, {"/dev/vg/log", "var/log", "subvol=@log"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(fstabEntry{})); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestSourcesOfVolumes(t *testing.T) {
	v := Volume{Name: "3", UUID: "AB-12", FSLabel: "data", PartUUID: "pu", Label: "part"}
	lv := Volume{Name: "golden-vg/my-root"}
	for _, c := range []struct {
		v      Volume
		source string
		want   bool
	}{
		{v, "UUID=ab-12", true}, {v, "UUID=", false}, {v, "LABEL=data", true}, {v, "LABEL=Data", false},
		{v, "PARTUUID=PU", true}, {v, "PARTLABEL=part", true}, {v, "/dev/vda3", true}, {v, "/dev/nvme0n1p3", true},
		{v, "/dev/vdb3", false}, {lv, "/dev/golden-vg/my-root", true}, {lv, "/dev/mapper/golden--vg-my--root", true},
		{lv, "/dev/mapper/golden-vg-my-root", false}, {Volume{Name: "1"}, "UUID=", false},
	} {
		if got := c.v.isSource(c.source); got != c.want {
			t.Errorf("%s is %s: %v", c.source, c.v.Name, got)
		}
	}
}
