package volume

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// pv is the beginning of a physical volume whose text stands in its ring from at on.
func pv(text string, at int) []byte {
	const area, ring = 4096, 2048
	disk := make([]byte, 16384)
	label := disk[512:]
	copy(label, "LABELONE")
	copy(label[24:], "LVM2 001")
	binary.LittleEndian.PutUint32(label[20:], 32)
	copy(label[32:], "AbCdEf0123456789AbCdEf0123456789")
	binary.LittleEndian.PutUint64(label[32+40:], 1<<20) // a data area, without an end
	binary.LittleEndian.PutUint64(label[32+72:], area)
	binary.LittleEndian.PutUint64(label[32+80:], ring)
	head := disk[area:]
	copy(head[4:], " LVM2 x[5A%r0N*>")
	for i, v := range []int{area, ring, at, len(text)} {
		binary.LittleEndian.PutUint64(head[24+8*i:], uint64(v))
	}
	for i := range len(text) {
		if at+i < ring {
			head[at+i] = text[i]
		} else {
			head[512+at+i-ring] = text[i]
		}
	}
	return disk
}

const groupText = "g {\nid = \"x\"\nphysical_volumes {\npv0 {\nid = \"other\"\ndev_size = 7\n}\n" +
	"pv1 {\nid = \"AbCdEf-0123-4567-89Ab-CdEf-0123-456789\"\ndevice = \"/dev/vda2\"\n\ndev_size = 4096\t# 2 Megabytes\npe_start = 2048\n}\n}\n}\n"

func TestPVSize(t *testing.T) {
	for _, at := range []int{512, 1000, 2048 - 1, 2048 - len(groupText)/2} { // the last two go around
		if n, err := pvSize(bytes.NewReader(pv(groupText, at))); n != 2<<20 || err != nil {
			t.Errorf("text at %d: %d, %v", at, n, err)
		}
	}
	none := pv("g {\n}\n", 512)
	short := pv(groupText, 512)[:6000]
	wild := pv(groupText, 512)
	binary.LittleEndian.PutUint64(wild[4096+48:], 1<<60)
	for name, disk := range map[string][]byte{"no text of it": none, "a size beyond the ring": wild, "no label": make([]byte, 4096)} {
		if n, err := pvSize(bytes.NewReader(disk)); !errors.Is(err, errPV) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if n, err := pvSize(bytes.NewReader(short[:4500])); err == nil {
		t.Errorf("a disk that ends: %d", n)
	}
}

// FuzzPVSize reads any disk without a panic.
func FuzzPVSize(f *testing.F) {
	f.Add(pv(groupText, 512))
	f.Add(pv(groupText, 2000))
	f.Fuzz(func(t *testing.T, disk []byte) {
		if n, err := pvSize(bytes.NewReader(disk)); err == nil && n < 0 {
			t.Errorf("%d bytes", n)
		}
	})
}
