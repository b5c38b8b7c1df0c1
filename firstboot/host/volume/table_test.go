package volume

import (
	"bytes"
	"encoding/binary"
	checksum "hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const mib = 1 << 20

// partitioned makes a sparse disk by sfdisk, and makes it larger afterwards.
func partitioned(t *testing.T, script string, size int64) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(64 * mib); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", name)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no sfdisk here: %v %s", err, out) // the integration tests fail without it
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

const gptScript = "label: gpt\nsize=1M\nsize=20M\n"

// TestEnlargeCutAnywhere writes only the first pieces of a new table: one of the two tables is always whole, and a second
// run ends as one that was not cut.
func TestEnlargeCutAnywhere(t *testing.T) {
	for name, script := range map[string]string{"gpt": gptScript, "mbr": "label: dos\nsize=1M\nsize=20M\n"} {
		t.Run(name, func(t *testing.T) {
			whole := enlarged(t, script, -1)
			for cut := range 3 {
				if got := enlarged(t, script, cut); !bytes.Equal(got, whole) {
					t.Errorf("cut after %d pieces and run again is not the same", cut)
				}
			}
		})
	}
}

// enlarged returns the disk's first MiB and its end after a run that was cut, and another one.
func enlarged(t *testing.T, script string, cut int) []byte {
	t.Helper()
	const size = 256 * mib
	f := partitioned(t, script, size)
	for round := range 2 {
		list, end, err := enlarge(f, size, 512, 2, 2*mib)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if end < size-2*mib || end > size {
			t.Fatalf("the partition would end at %d", end)
		}
		for i, w := range list {
			if round == 0 && i == cut {
				break
			}
			if _, err := f.WriteAt(w.data, w.at); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command("sfdisk", "--dump", f.Name()).CombinedOutput(); err != nil || !strings.Contains(string(out), "start=        4096") {
			t.Fatalf("sfdisk reads: %v\n%s", err, out)
		}
	}
	if out, err := exec.Command("sfdisk", "--verify", f.Name()).CombinedOutput(); err != nil {
		t.Fatalf("sfdisk --verify: %v\n%s", err, out)
	}
	b := make([]byte, mib+20*512)
	if _, err := f.ReadAt(b[:mib], 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(b[mib:], size-20*512); err != nil {
		t.Fatal(err)
	}
	return unique(b)
}

// unique clears what differs between two disks that were made alike: GUIDs, the MBR's number, checksums.
func unique(b []byte) []byte {
	le := binary.LittleEndian
	copy(b[440:], make([]byte, 4))
	for _, h := range [][]byte{b[512:1024], b[len(b)-512:]} {
		clear(h[16:20])
		clear(h[56:72])
		clear(h[88:92])
	}
	for e := b[1024 : 1024+128*128]; len(e) > 0; e = e[128:] {
		if le.Uint64(e) != 0 {
			clear(e[16:32])
		}
	}
	tail := b[mib : len(b)-512]
	clear(tail) // a part of the second entries, which sfdisk has verified
	return b
}

func TestEnlargeRefuses(t *testing.T) {
	const size = 256 * mib
	gpt := partitioned(t, gptScript, size)
	logical := partitioned(t, "label: dos\nsize=1M\ntype=5\nsize=5M\n", size)
	for name, c := range map[string]struct {
		disk   *os.File
		number int
		start  int64
		want   string
	}{
		"elsewhere":    {gpt, 2, 5 * mib, "elsewhere"},
		"no partition": {gpt, 4000, 2 * mib, "no partition"},
		"logical":      {logical, 5, 3 * mib, "logical"},
	} {
		if _, _, err := enlarge(c.disk, size, 512, c.number, c.start); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := make([]byte, 2048)
	if _, err := gpt.WriteAt(bad, 512); err != nil {
		t.Fatal(err)
	}
	if _, _, err := enlarge(gpt, size, 512, 2, 2*mib); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a GPT without a header, whose second one is not at the end: %v", err)
	}
}

// FuzzEnlarge gives the table any bytes, with checksums that are right.
func FuzzEnlarge(f *testing.F) {
	head := make([]byte, 512*34)
	copy(head[446:], []byte{0, 0, 0, 0, 0xee})
	h := head[512:]
	copy(h, "EFI PART")
	le := binary.LittleEndian
	le.PutUint32(h[12:], 92)
	le.PutUint64(h[72:], 2)
	le.PutUint32(h[80:], 128)
	le.PutUint32(h[84:], 128)
	f.Add(head[:1024], head[1024:1024+256], 1)
	f.Fuzz(func(t *testing.T, head, entries []byte, number int) {
		disk := make([]byte, 512*200)
		copy(disk, head)
		copy(disk[1024:], entries)
		h := disk[512:1024]
		if n := int64(le.Uint32(h[80:])) * int64(le.Uint32(h[84:])); n > 0 && n < 512*100 {
			le.PutUint32(h[88:], checksum.ChecksumIEEE(disk[1024:1024+n]))
		}
		if hs := le.Uint32(h[12:]); hs >= 92 && hs <= 512 {
			le.PutUint32(h[16:], headerSum(h[:hs]))
		}
		list, end, err := enlarge(bytes.NewReader(disk), int64(len(disk)), 512, number, mib)
		if err != nil {
			return
		}
		for _, w := range list {
			if w.at < 0 || w.at+int64(len(w.data)) > int64(len(disk)) || len(w.data)%512 != 0 {
				t.Fatalf("a write of %d bytes at %d", len(w.data), w.at)
			}
		}
		if end < 0 {
			t.Fatalf("end is %d", end)
		}
	})
}

func TestChecksum(t *testing.T) {
	for _, text := range []string{"", "a", "123456789", strings.Repeat("goldsmith", 1000)} {
		if got, want := crc32([]byte(text)), checksum.ChecksumIEEE([]byte(text)); got != want {
			t.Errorf("%.10q: %x, want %x", text, got, want)
		}
	}
}

func TestGroupAndVolume(t *testing.T) {
	for in, want := range map[string]string{"golden--vg-root": "golden-vg/root", "vg-a--b": "vg/a-b", "vg-root": "vg/root"} {
		if got := groupAndVolume(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func TestParseMount(t *testing.T) {
	for line, want := range map[string]*mount{
		"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw": {"254:1", "ext4"},
		"22 1 254:1 /var/lib/machines/x / rw - ext4 /dev/vda1 rw": nil, // a bind mount, as containers have
		"22 1 0:30 / / rw - overlay overlay rw":                   nil,
		"22 1 0:30 /@ / rw - btrfs /dev/nowhere rw":               nil,
		"22 1 0:45 / / rw - nfs server:/export rw":                nil,
	} {
		point, m := parseMount(line)
		if point != "/" || (m == nil) != (want == nil) || m != nil && *m != *want {
			t.Errorf("%s: %q %v", line, point, m)
		}
	}
	for _, line := range []string{"", " - ", "1 2 3 - x", "- - - - - - -"} {
		if _, m := parseMount(line); m != nil {
			t.Errorf("%q: %v", line, m)
		}
	}
}
