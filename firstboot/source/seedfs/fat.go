package seedfs

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"unicode/utf16"
)

// A fat is the geometry of a FAT volume, in bytes, as Microsoft's "FAT: General Overview of On-Disk Format" 1.03 has it.
type fat struct {
	r                 io.ReaderAt
	table             int64 // of the first FAT
	root, rootLen     int64 // fixed root directory; rootLen 0: the root is the chain that starts at rootCluster
	data, cluster     int64 // first data cluster (number 2), and the size of one
	clusters          uint32
	rootCluster, bits uint32
	label             string
}

// openFAT reads the boot sector and the root directory.
func openFAT(r io.ReaderAt) (*Volume, error) {
	f, err := geometry(r)
	if err != nil {
		return nil, err
	}
	dir, err := f.rootDir()
	if err != nil {
		return nil, err
	}
	v := &Volume{Label: f.label, files: map[string]func() ([]byte, error){}, fold: strings.ToLower}
	f.list(dir, v)
	return v, nil
}

func geometry(r io.ReaderAt) (fat, error) {
	b, err := section(r, 0, 512)
	if err != nil || b[510] != 0x55 || b[511] != 0xAA || b[0] != 0xEB && b[0] != 0xE9 {
		return fat{}, ErrUnknown
	}
	le16 := func(o int) int64 { return int64(binary.LittleEndian.Uint16(b[o:])) }
	le32 := func(o int) int64 { return int64(binary.LittleEndian.Uint32(b[o:])) }
	sector, perCluster, reserved, tables, entries := le16(11), int64(b[13]), le16(14), int64(b[16]), le16(17)
	if sector < 512 || sector > 4096 || sector&(sector-1) != 0 || perCluster == 0 || perCluster&(perCluster-1) != 0 ||
		reserved == 0 || tables == 0 || tables > 2 {
		return fat{}, ErrUnknown
	}
	total, tableLen := le16(19), le16(22)
	if total == 0 {
		total = le32(32)
	}
	labelAt := 43
	if tableLen == 0 {
		tableLen, labelAt = le32(36), 71
	}
	f := fat{r: r, table: reserved * sector, root: (reserved + tables*tableLen) * sector, rootLen: entries * 32,
		cluster: perCluster * sector, label: strings.TrimRight(string(b[labelAt:labelAt+11]), " ")}
	f.data = f.root + (f.rootLen+sector-1)/sector*sector
	if f.data >= total*sector {
		return fat{}, ErrUnknown
	}
	f.clusters = uint32((total*sector - f.data) / f.cluster)
	switch { // the number of clusters alone says which FAT it is
	case f.clusters < 4085:
		f.bits = 12
	case f.clusters < 65525:
		f.bits = 16
	default:
		f.bits, f.rootCluster = 32, uint32(le32(44))
	}
	if f.bits == 32 {
		f.rootLen = 0
	}
	return f, nil
}

func (f fat) rootDir() ([]byte, error) {
	if f.rootLen > 0 {
		return section(f.r, f.root, f.rootLen)
	}
	return f.chain(f.rootCluster, maxDir)
}

// chain reads the clusters from the given one on, at most limit bytes.
func (f fat) chain(cluster uint32, limit int64) ([]byte, error) {
	var out []byte
	for int64(len(out)) < limit {
		if cluster < 2 || cluster-2 >= f.clusters {
			return nil, errors.New("chain of clusters leads out of the FAT volume")
		}
		part, err := section(f.r, f.data+int64(cluster-2)*f.cluster, f.cluster)
		if err != nil {
			return nil, err
		}
		out = append(out, part...)
		if cluster, err = f.next(cluster); err != nil {
			return nil, err
		}
		if f.last(cluster) {
			break
		}
	}
	return out, nil
}

// last tells whether an entry ends a chain: all bits set but the last three, of 12, 16 or 28.
func (f fat) last(entry uint32) bool {
	return entry >= map[uint32]uint32{12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}[f.bits]
}

func (f fat) next(cluster uint32) (uint32, error) {
	at := int64(cluster) * int64(f.bits) / 8
	b, err := section(f.r, f.table+at, (int64(f.bits)+7)/8)
	if err != nil {
		return 0, err
	}
	switch f.bits {
	case 12:
		v := uint32(b[0]) | uint32(b[1])<<8
		if cluster%2 == 1 {
			return v >> 4, nil
		}
		return v & 0xFFF, nil
	case 16:
		return uint32(binary.LittleEndian.Uint16(b)), nil
	}
	return binary.LittleEndian.Uint32(b) & 0x0FFFFFFF, nil // the upper four bits are reserved
}

// list adds the files of a directory to the volume, under their long names where they have one, and takes the label that
// stands as an entry: it is the one that tools change.
func (f fat) list(dir []byte, v *Volume) {
	const attrLabel, attrDir, attrLong = 0x08, 0x10, 0x0F
	var long string
	for ; len(dir) >= 32 && dir[0] != 0; dir = dir[32:] {
		e := dir[:32]
		attr := e[11]
		switch {
		case e[0] == 0xE5:
			long = ""
		case attr == attrLong:
			long = longPart(e) + long
		case attr&attrLabel != 0:
			v.Label, long = strings.TrimRight(string(e[:11]), " "), ""
		case attr&attrDir == 0:
			name := long
			if name == "" {
				name = shortName(e)
			}
			v.files[strings.ToLower(name)] = f.file(e)
			long = ""
		default:
			long = ""
		}
	}
}

func (f fat) file(e []byte) func() ([]byte, error) {
	size := int64(binary.LittleEndian.Uint32(e[28:]))
	first := uint32(binary.LittleEndian.Uint16(e[26:])) | uint32(binary.LittleEndian.Uint16(e[20:]))<<16
	if f.bits != 32 {
		first &= 0xFFFF
	}
	return func() ([]byte, error) {
		if size == 0 {
			return nil, nil
		}
		if size > maxFile {
			return nil, errors.New("file is too large for a seed")
		}
		data, err := f.chain(first, size)
		if err != nil {
			return nil, err
		}
		if int64(len(data)) < size {
			return nil, errors.New("file breaks off before its size")
		}
		return data[:size], nil
	}
}

// longPart returns the 13 characters of one long-name entry; the entries stand last part first.
func longPart(e []byte) string {
	var units []uint16
	for _, span := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for o := span[0]; o < span[1]; o += 2 {
			u := binary.LittleEndian.Uint16(e[o:])
			if u == 0 {
				return string(utf16.Decode(units))
			}
			units = append(units, u)
		}
	}
	return string(utf16.Decode(units))
}

func shortName(e []byte) string {
	name, ext := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if ext != "" {
		name += "." + ext
	}
	return name
}
