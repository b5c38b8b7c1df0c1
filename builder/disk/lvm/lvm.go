// Package lvm finds the logical volumes in a physical volume by reading LVM2's metadata itself, and shows one of them as
// a single file.
//
// The host's own LVM is not asked, since it would activate the guest's volumes on the host: that needs the device
// mapper, and clashes when the host, or another clone of the same image, has a volume group of the same name.
// Linear volumes are understood, which is what installers make; all others are named, with the reason why not.
package lvm

import (
	"fmt"
	"io"
	"strings"

	"goldsmith/firstboot/pv"
)

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

const (
	sector   = 512
	maxBytes = 1 << 60 // of any offset or size; beyond it arithmetic could wrap
)

// Read reads the physical volume in r, which has size bytes. The error is pv.ErrNone where there is none.
func Read(r io.ReaderAt, size int64) (*Group, error) {
	id, text, err := pv.Read(r)
	if err != nil {
		return nil, err
	}
	return readGroup(text, id, size)
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
