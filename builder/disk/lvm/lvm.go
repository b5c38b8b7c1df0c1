// Package lvm finds the logical volumes in a physical volume by reading LVM2's metadata itself, and shows one of them as
// a single file.
//
// The host's own LVM is not asked, since it would activate the guest's volumes on the host: that needs the device
// mapper, and clashes when the host, or another clone of the same image, has a volume group of the same name.
// Linear volumes are understood, which is what installers make; all others are named, with the reason why not.
package lvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// ErrNone says that there is no physical volume.
var ErrNone = errors.New("no LVM physical volume")

// A Group is a volume group as one physical volume describes it.
type Group struct {
	Name    string
	UUID    string
	PV      string // UUID of the physical volume that was read
	Missing int    // physical volumes of the group that are elsewhere
	Volumes []Volume
}

// A Volume is a logical volume.
type Volume struct {
	Name     string
	UUID     string
	Size     int64     // bytes
	Extents  []Segment // where it is, in order; nil if Refused
	Refused  string    // why it cannot be opened, "" if it can
	Internal bool      // part of another volume: a pool's data, a mirror's leg
}

// A Segment is a run of bytes in the physical volume.
type Segment struct {
	Offset int64 // bytes from the start of the physical volume
	Size   int64 // bytes
}

// What lies where (lvm2's lib/label/label.h, lib/format_text/layout.h); all little endian.
const (
	sector       = 512
	labelSectors = 4 // the label is in one of the first four sectors
	labelID      = "LABELONE"
	labelType    = "LVM2 001"
	mdaMagic     = " LVM2 x[5A%r0N*>"
	mdaHeader    = 512
	initialCRC   = 0xf597a6cf

	maxText  = 16 << 20
	maxBytes = 1 << 60 // of any offset or size; beyond it arithmetic could wrap
)

// crc is CRC-32 with LVM's own start value and no final complement.
func crc(b []byte) uint32 {
	return ^crc32.Update(^uint32(initialCRC), crc32.IEEETable, b)
}

// Read reads the physical volume in r, which has size bytes.
func Read(r io.ReaderAt, size int64) (*Group, error) {
	id, areas, err := readLabel(r)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range areas {
		text, err := readArea(r, a)
		if err == nil {
			return readGroup(text, id, size)
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("cannot read LVM metadata: %w", errors.Join(append(errs, errors.New("no usable metadata area"))...))
}

// readLabel finds the label and returns the volume's UUID and its metadata areas.
func readLabel(r io.ReaderAt) (string, []Segment, error) {
	head := make([]byte, labelSectors*sector)
	if _, err := r.ReadAt(head, 0); err != nil {
		return "", nil, ErrNone
	}
	for i := range labelSectors {
		l := head[i*sector : (i+1)*sector]
		if string(l[:8]) != labelID || string(l[24:32]) != labelType {
			continue
		}
		if binary.LittleEndian.Uint32(l[16:]) != crc(l[20:]) {
			return "", nil, errors.New("cannot read LVM label: its checksum is wrong")
		}
		at := binary.LittleEndian.Uint32(l[20:])
		if at < 32 || at > sector-40 {
			return "", nil, fmt.Errorf("cannot read LVM label: it says that the header is at byte %d", at)
		}
		return readPV(l[at:])
	}
	return "", nil, ErrNone
}

// readPV reads the header: UUID, size of the device, data areas up to an empty one, metadata areas up to an empty one.
func readPV(h []byte) (string, []Segment, error) {
	id, rest := string(h[:32]), h[40:]
	_, rest = locations(rest)
	areas, _ := locations(rest)
	for _, a := range areas {
		if a.Offset < 0 || a.Offset > maxBytes || a.Size < mdaHeader || a.Size > maxBytes {
			return "", nil, errors.New("cannot read LVM label: a metadata area is out of bounds")
		}
	}
	return id, areas, nil
}

// locations reads pairs of offset and size up to a pair of zeros.
func locations(b []byte) ([]Segment, []byte) {
	var out []Segment
	for ; len(b) >= 16; b = b[16:] {
		s := Segment{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))}
		if s.Offset == 0 && s.Size == 0 {
			return out, b[16:]
		}
		out = append(out, s)
	}
	return out, nil
}

// readArea returns the current text of a metadata area, which is a ring.
func readArea(r io.ReaderAt, area Segment) ([]byte, error) {
	h := make([]byte, mdaHeader)
	if _, err := r.ReadAt(h, area.Offset); err != nil {
		return nil, fmt.Errorf("metadata area at %d: %w", area.Offset, err)
	}
	if string(h[4:20]) != mdaMagic || binary.LittleEndian.Uint32(h) != crc(h[4:]) {
		return nil, fmt.Errorf("metadata area at %d has no valid header", area.Offset)
	}
	at, size := int64(binary.LittleEndian.Uint64(h[40:])), int64(binary.LittleEndian.Uint64(h[48:]))
	want, ring := binary.LittleEndian.Uint32(h[56:]), int64(binary.LittleEndian.Uint64(h[32:]))
	if ring != area.Size || at < mdaHeader || at >= ring || size <= 0 || size > maxText || size > ring-mdaHeader {
		return nil, fmt.Errorf("metadata area at %d is empty or out of bounds", area.Offset)
	}
	text := make([]byte, size)
	first := min(size, ring-at)
	if _, err := r.ReadAt(text[:first], area.Offset+at); err != nil {
		return nil, fmt.Errorf("metadata at %d: %w", area.Offset+at, err)
	}
	if _, err := r.ReadAt(text[first:], area.Offset+mdaHeader); err != nil {
		return nil, fmt.Errorf("metadata at %d: %w", area.Offset+mdaHeader, err)
	}
	if crc(text) != want {
		return nil, fmt.Errorf("metadata at %d: the checksum is wrong", area.Offset+at)
	}
	return text, nil
}

// readGroup makes a group of its text. Own is the UUID of the physical volume at hand, size its bytes.
func readGroup(text []byte, own string, size int64) (*Group, error) {
	top, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read LVM metadata: %w", err)
	}
	if len(top.order) != 1 {
		return nil, fmt.Errorf("cannot read LVM metadata: %d groups where one was expected", len(top.order))
	}
	vg := top.sections[top.order[0]]
	g := &Group{Name: top.order[0], UUID: vg.text("id"), PV: own}
	m := mapper{extent: vg.number("extent_size") * sector, size: size}
	if m.extent <= 0 || m.extent > maxBytes {
		return nil, fmt.Errorf("cannot read LVM metadata: extents of %d sectors", vg.number("extent_size"))
	}
	pvs := vg.sub("physical_volumes")
	for _, name := range pvs.order {
		pv := pvs.sections[name]
		if strings.ReplaceAll(pv.text("id"), "-", "") == own {
			m.pv, m.start = name, pv.number("pe_start")*sector
		} else {
			g.Missing++
		}
	}
	lvs := vg.sub("logical_volumes")
	for _, name := range lvs.order {
		g.Volumes = append(g.Volumes, m.volume(name, lvs.sections[name]))
	}
	return g, nil
}

// A mapper knows where the extents of the physical volume are.
type mapper struct {
	pv            string // the name that the metadata gives it
	start, extent int64  // bytes
	size          int64  // of the physical volume, bytes
}

// volume reads one logical volume.
func (m mapper) volume(name string, lv *section) Volume {
	v := Volume{Name: name, UUID: lv.text("id"), Internal: true}
	for _, s := range lv.list("status") {
		if s == "VISIBLE" {
			v.Internal = false
		}
	}
	count := lv.number("segment_count")
	for i := int64(1); i <= count && v.Refused == ""; i++ {
		seg := lv.sections[fmt.Sprintf("segment%d", i)]
		if seg == nil {
			v.Refused = fmt.Sprintf("segment %d of %d is missing", i, count)
			break
		}
		v.Refused = m.segment(&v, seg)
	}
	if count <= 0 {
		v.Refused = "it has no segments"
	}
	if v.Refused != "" {
		v.Extents = nil
	}
	return v
}

// segment adds one segment, or says why it cannot.
func (m mapper) segment(v *Volume, seg *section) string {
	kind, stripes := seg.text("type"), seg.list("stripes")
	switch {
	case kind != "striped" && kind != "linear":
		return fmt.Sprintf("it is of type %q; only linear volumes are supported", kind)
	case seg.number("stripe_count") != 1 || len(stripes) != 2:
		return fmt.Sprintf("it is striped over %d disks; only linear volumes are supported", seg.number("stripe_count"))
	}
	pv, _ := stripes[0].(string)
	first, ok := stripes[1].(int64)
	count, at := seg.number("extent_count"), seg.number("start_extent")
	limit := int64(maxBytes) / m.extent
	switch {
	case pv != m.pv || m.pv == "":
		return fmt.Sprintf("a part of it is on another physical volume, %q", pv)
	case !ok || first < 0 || first > limit || count <= 0 || count > limit || at != v.Size/m.extent:
		return "its segments do not follow each other"
	}
	s := Segment{Offset: m.start + first*m.extent, Size: count * m.extent}
	if m.start < 0 || m.start > maxBytes || s.Offset+s.Size > m.size {
		return "it reaches beyond the end of its disk"
	}
	v.Size += s.Size
	v.Extents = appendSegment(v.Extents, s)
	return ""
}

// appendSegment joins what touches.
func appendSegment(list []Segment, s Segment) []Segment {
	if n := len(list); n > 0 && list[n-1].Offset+list[n-1].Size == s.Offset {
		list[n-1].Size += s.Size
		return list
	}
	return append(list, s)
}
