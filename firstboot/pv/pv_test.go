package pv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"goldsmith/firstboot/pv"
	"goldsmith/firstboot/pv/pvtest"
)

const group = "vg {\nid = \"x\"\nseqno = 1\n}\n"

func TestRead(t *testing.T) {
	const end = pvtest.AreaSize
	for _, at := range []int{pvtest.Header, 1000, end - 1, end - len(group)/2} { // the last two go around
		id, text, err := pv.Read(bytes.NewReader(pvtest.Make(group, at)))
		if id != pvtest.ID || string(text) != group || err != nil {
			t.Errorf("text at %d: %s, %q, %v", at, id, text, err)
		}
	}
	if got := pv.Dashed(pvtest.ID); got != "AbCdEf-0123-4567-89Ab-CdEf-0123-456789" {
		t.Error(got)
	}
}

func TestBrokenVolumes(t *testing.T) {
	const text = pvtest.Area + pvtest.Header
	for name, c := range map[string]struct {
		want   string
		change func(d []byte)
	}{
		"label checksum":         {"checksum is wrong", func(d []byte) { d[pvtest.Label+100]++ }},
		"area header":            {"no valid header", func(d []byte) { d[pvtest.Area+30]++ }},
		"text checksum":          {"checksum is wrong", func(d []byte) { d[text+5]++ }},
		"a size beyond the ring": {"out of bounds", func(d []byte) { number(d, 48, 1<<60) }},
		"a text before the ring": {"out of bounds", func(d []byte) { number(d, 40, 100) }},
		"a ring of another size": {"out of bounds", func(d []byte) { number(d, 32, 4096) }},
	} {
		d := pvtest.Make(group, pvtest.Header)
		c.change(d)
		if _, _, err := pv.Read(bytes.NewReader(d)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, d := range [][]byte{nil, make([]byte, 4096)} {
		if _, _, err := pv.Read(bytes.NewReader(d)); !errors.Is(err, pv.ErrNone) {
			t.Errorf("%d bytes: %v", len(d), err)
		}
	}
	if _, _, err := pv.Read(bytes.NewReader(pvtest.Make(group, pvtest.Header)[:text+5])); err == nil {
		t.Error("a disk that ends was read")
	}
}

// number writes into the header of the metadata area, under a checksum that is right.
func number(d []byte, at int, v uint64) {
	h := d[pvtest.Area : pvtest.Area+pvtest.Header]
	binary.LittleEndian.PutUint64(h[at:], v)
	binary.LittleEndian.PutUint32(h, pv.Checksum(h[4:]))
}

// FuzzRead reads any disk without a panic.
func FuzzRead(f *testing.F) {
	f.Add(pvtest.Make(group, pvtest.Header)[:8192])
	f.Add(pvtest.Make(group, pvtest.AreaSize-10))
	f.Fuzz(func(t *testing.T, disk []byte) {
		if id, _, err := pv.Read(bytes.NewReader(disk)); err == nil && len(id) != 32 {
			t.Errorf("id %q", id)
		}
	})
}
