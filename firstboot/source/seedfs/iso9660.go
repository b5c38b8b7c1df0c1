package seedfs

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
)

const isoSector = 2048

// An isoTree is one of the directory hierarchies of a volume: the primary one or Joliet's.
type isoTree struct {
	label string
	root  isoRecord
	ucs2  bool // names are UCS-2, big endian (Joliet)
}

// openISO reads ECMA-119 volume descriptors from sector 16 on. Rock Ridge names of the primary tree win, then Joliet's, then
// the primary tree's own (META_DAT.;1), compared without case.
func openISO(r io.ReaderAt) (*Volume, error) {
	trees, err := isoTrees(r)
	if err != nil {
		return nil, err
	}
	v := &Volume{Label: trees[0].label, files: map[string]func() ([]byte, error){}, fold: strings.ToLower}
	for _, t := range trees {
		if t.ucs2 && t.label != "" && strings.EqualFold(t.label, strings.TrimSpace(v.Label)) {
			v.Label = t.label
		}
		if err := v.addISO(r, t); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func isoTrees(r io.ReaderAt) ([]isoTree, error) {
	const first, last = 16, 32 // no mastering tool writes more than a handful
	var trees []isoTree
	for n := int64(first); n < last; n++ {
		d, err := section(r, n*isoSector, isoSector)
		if err != nil || string(d[1:6]) != "CD001" {
			break
		}
		switch {
		case d[0] == 1 && len(trees) == 0:
			trees = append(trees, isoTree{label: strings.TrimRight(string(d[40:72]), " \x00"), root: record(d[156:190])})
		case d[0] == 2 && len(trees) == 1 && d[88] == '%' && d[89] == '/' && strings.IndexByte("@CE", d[90]) >= 0:
			trees = append(trees, isoTree{label: strings.TrimRight(ucs2(d[40:72]), " \x00"), root: record(d[156:190]), ucs2: true})
		case d[0] == 255:
			n = last
		}
	}
	if len(trees) == 0 {
		return nil, ErrUnknown
	}
	return trees, nil
}

// An isoRecord is a directory record (ECMA-119, 9.1).
type isoRecord struct {
	extent, size uint32
	flags        byte
	name         []byte
	system       []byte // system use area: Rock Ridge
}

func record(b []byte) isoRecord {
	rec := isoRecord{extent: binary.LittleEndian.Uint32(b[2:]), size: binary.LittleEndian.Uint32(b[10:]), flags: b[25]}
	n := 33 + int(b[32])
	if n > len(b) {
		return rec
	}
	rec.name = b[33:n]
	if n += (n + 1) % 2; n < len(b) { // a pad byte keeps the next field even
		rec.system = b[n:]
	}
	return rec
}

// addISO adds the plain files of a tree's root directory. A name that a better tree has given already stays.
func (v *Volume) addISO(r io.ReaderAt, t isoTree) error {
	if t.root.size > maxDir {
		return errors.New("root directory of the ISO 9660 volume is too large for a seed")
	}
	dir, err := section(r, int64(t.root.extent)*isoSector, int64(t.root.size))
	if err != nil {
		return err
	}
	for off := 0; off < len(dir); {
		n := int(dir[off])
		if n == 0 { // records do not cross sectors
			off += isoSector - off%isoSector
			continue
		}
		if n < 34 || off+n > len(dir) {
			return errors.New("root directory of the ISO 9660 volume is damaged")
		}
		rec := record(dir[off : off+n])
		off += n
		const directory, multiExtent = 0x02, 0x80
		if rec.flags&(directory|multiExtent) != 0 {
			continue
		}
		for _, name := range rec.names(t.ucs2) {
			if _, taken := v.files[name]; !taken {
				v.files[name] = func() ([]byte, error) { return section(r, int64(rec.extent)*isoSector, int64(rec.size)) }
			}
		}
	}
	return nil
}

// names returns what the file may be called, lower case.
func (rec isoRecord) names(wide bool) []string {
	plain := string(rec.name)
	if wide {
		plain = ucs2(rec.name)
	}
	plain, _, _ = strings.Cut(plain, ";")
	names := []string{strings.ToLower(strings.TrimSuffix(plain, "."))}
	if rr := rockRidge(rec.system); rr != "" && !wide {
		names[0] = strings.ToLower(rr)
	}
	return names
}

// rockRidge returns the name in the NM entries of a system use area (SUSP 1.12, RRIP 1.12).
func rockRidge(area []byte) string {
	var name strings.Builder
	for len(area) > 4 {
		n := int(area[2])
		if n < 4 || n > len(area) {
			break
		}
		if string(area[:2]) == "NM" && n > 5 {
			name.Write(area[5:n])
		}
		area = area[n:]
	}
	return name.String()
}

func ucs2(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
