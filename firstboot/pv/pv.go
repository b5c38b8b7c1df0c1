// Package pv reads what LVM2 wrote at the beginning of a physical volume: its label, and the text that describes its group. It
// asks nobody and changes nothing, so it serves a running machine and an image of one alike.
package pv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrNone says that there is no physical volume.
var ErrNone = errors.New("no LVM physical volume")

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

// Checksum is CRC-32 with LVM's own start value and no final complement. The tables of hash/crc32 would cost firstboot 12 kB for
// the few kilobytes that are read here.
func Checksum(b []byte) uint32 {
	sum := uint32(initialCRC)
	for _, c := range b {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0xedb88320&-(sum&1)
		}
	}
	return sum
}

// Read returns the UUID of the physical volume in r, 32 characters without dashes, and the current text of its group. Checksums
// are checked. The error is ErrNone where there is no label.
func Read(r io.ReaderAt) (uuid string, text []byte, err error) {
	uuid, areas, err := readLabel(r)
	if err != nil {
		return "", nil, err
	}
	var errs []error
	for _, a := range areas {
		text, err := readArea(r, a)
		if err == nil {
			return uuid, text, nil
		}
		errs = append(errs, err)
	}
	return "", nil, fmt.Errorf("cannot read LVM metadata: %w", errors.Join(append(errs, errors.New("no usable metadata area"))...))
}

// Dashed writes a UUID as texts have it: six characters, five times four, six.
func Dashed(uuid string) string {
	if len(uuid) != 32 {
		return uuid
	}
	out := uuid[:6]
	for i := 6; i < 26; i += 4 {
		out += "-" + uuid[i:i+4]
	}
	return out + "-" + uuid[26:]
}

// A stretch is a run of bytes in the physical volume.
type stretch struct{ offset, size int64 }

// readLabel finds the label and returns the volume's UUID and its metadata areas.
func readLabel(r io.ReaderAt) (string, []stretch, error) {
	head := make([]byte, labelSectors*sector)
	if _, err := r.ReadAt(head, 0); err != nil {
		return "", nil, ErrNone
	}
	for i := range labelSectors {
		l := head[i*sector : (i+1)*sector]
		if string(l[:8]) != labelID || string(l[24:32]) != labelType {
			continue
		}
		if binary.LittleEndian.Uint32(l[16:]) != Checksum(l[20:]) {
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
func readPV(h []byte) (string, []stretch, error) {
	id, rest := string(h[:32]), h[40:]
	_, rest = locations(rest)
	areas, _ := locations(rest)
	for _, a := range areas {
		if a.offset < 0 || a.offset > maxBytes || a.size < mdaHeader || a.size > maxBytes {
			return "", nil, errors.New("cannot read LVM label: a metadata area is out of bounds")
		}
	}
	return id, areas, nil
}

// locations reads pairs of offset and size up to a pair of zeros.
func locations(b []byte) ([]stretch, []byte) {
	var out []stretch
	for ; len(b) >= 16; b = b[16:] {
		s := stretch{int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint64(b[8:]))}
		if s.offset == 0 && s.size == 0 {
			return out, b[16:]
		}
		out = append(out, s)
	}
	return out, nil
}

// readArea returns the current text of a metadata area, which is a ring.
func readArea(r io.ReaderAt, area stretch) ([]byte, error) {
	h := make([]byte, mdaHeader)
	if _, err := r.ReadAt(h, area.offset); err != nil {
		return nil, fmt.Errorf("metadata area at %d: %w", area.offset, err)
	}
	if string(h[4:20]) != mdaMagic || binary.LittleEndian.Uint32(h) != Checksum(h[4:]) {
		return nil, fmt.Errorf("metadata area at %d has no valid header", area.offset)
	}
	at, size := int64(binary.LittleEndian.Uint64(h[40:])), int64(binary.LittleEndian.Uint64(h[48:]))
	want, ring := binary.LittleEndian.Uint32(h[56:]), int64(binary.LittleEndian.Uint64(h[32:]))
	if ring != area.size || at < mdaHeader || at >= ring || size <= 0 || size > maxText || size > ring-mdaHeader {
		return nil, fmt.Errorf("metadata area at %d is empty or out of bounds", area.offset)
	}
	text := make([]byte, size)
	first := min(size, ring-at)
	if _, err := r.ReadAt(text[:first], area.offset+at); err != nil {
		return nil, fmt.Errorf("metadata at %d: %w", area.offset+at, err)
	}
	if _, err := r.ReadAt(text[first:], area.offset+mdaHeader); err != nil {
		return nil, fmt.Errorf("metadata at %d: %w", area.offset+mdaHeader, err)
	}
	if Checksum(text) != want {
		return nil, fmt.Errorf("metadata at %d: the checksum is wrong", area.offset+at)
	}
	return text, nil
}
