package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/diskfs/go-diskfs/backend"
	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/diskfs/go-diskfs/partition/mbr"
)

// A Volume is a place where a file system can be: a partition, a logical volume, or a disk without partitions.
type Volume struct {
	Name     string `json:"name"`               // "1" for a partition, "group/name" for a logical volume, "disk"
	Number   int    `json:"number,omitempty"`   // of the partition
	Offset   int64  `json:"offset"`             // bytes; of a logical volume: of its first segment
	Size     int64  `json:"size"`               // bytes
	Type     string `json:"type,omitempty"`     // GPT type GUID, or MBR type as 0x83
	Label    string `json:"label,omitempty"`    // name in the GPT
	PartUUID string `json:"partuuid,omitempty"` // as in PARTUUID=
	FS       string `json:"fs,omitempty"`       // ext4 xfs btrfs vfat ntfs swap LVM2_member crypto_LUKS linux_raid_member ...
	UUID     string `json:"uuid,omitempty"`     // of the file system
	FSLabel  string `json:"fs_label,omitempty"`
	Refused  string `json:"refused,omitempty"` // why it cannot be opened

	dirty    string    // why it must not be opened without replaying its journal
	damaged  string    // why it should be checked before it is written
	segments []segment // where a logical volume is; nil: the one run at Offset
}

// A segment is a run of bytes on the disk.
type segment struct{ offset, size int64 }

// Tables by their names in a report.
const (
	tableGPT  = "gpt"
	tableMBR  = "mbr"
	tableNone = "none"
)

// blockFile is what go-diskfs reads from.
type blockFile = backend.File

// readTable lists the partitions of a disk of size bytes. A disk without a table is one volume.
func readTable(f blockFile, size int64) (kind string, list []Volume, err error) {
	// The parser is somebody else's and the table is untrusted: whatever makes it fail is bad input.
	defer func() {
		if p := recover(); p != nil {
			kind, list, err = "", nil, fmt.Errorf("cannot read partition table: %v", p)
		}
	}()
	first := make([]byte, sectorSize)
	if _, err := f.ReadAt(first, 0); err != nil {
		return "", nil, fmt.Errorf("cannot read partition table: %w", err)
	}
	if sector := gptSector(f, size); sector > 0 {
		list, err = readGPT(f, size, sector)
		return tableGPT, list, err
	}
	if first[510] != 0x55 || first[511] != 0xaa || !looksLikeMBR(first) {
		return tableNone, []Volume{{Name: "disk", Size: size}}, nil
	}
	list, err = readMBR(f, size)
	return tableMBR, list, err
}

// looksLikeMBR tells a partition table from the boot sector of a file system, which ends in the same two bytes: an entry
// is empty, or its flag is 0 or 0x80 and it has a type.
func looksLikeMBR(b []byte) bool {
	used := 0
	for e := b[446:510]; len(e) > 0; e = e[16:] {
		if e[0]&0x7f != 0 {
			return false
		}
		if e[4] != 0 && binary.LittleEndian.Uint32(e[12:]) > 0 {
			used++
		}
	}
	return used > 0
}

// gptSector finds a GPT that go-diskfs can read without running away, and returns its sector size: 512, 4096, or 0 for
// none. go-diskfs believes the number and size of entries, also those in the backup at the end of the disk.
func gptSector(f blockFile, size int64) int64 {
	for _, sector := range []int64{512, 4096} {
		if size < 68*sector {
			continue
		}
		primary, backup := gptHeader(f, sector), gptHeader(f, size/sector*sector-sector)
		if primary == good && backup != bad || primary == absent && backup == good && sector == sectorSize {
			return sector
		}
	}
	return 0
}

const (
	absent = iota // no GPT header
	good
	bad // a header with numbers that cannot be
)

func gptHeader(f blockFile, at int64) int {
	h := make([]byte, 92)
	if _, err := f.ReadAt(h, at); err != nil || string(h[:8]) != "EFI PART" {
		return absent
	}
	entries, entry := binary.LittleEndian.Uint32(h[80:]), binary.LittleEndian.Uint32(h[84:])
	if entry != gpt.PartitionEntrySize || entries == 0 || entries > 1024 {
		return bad
	}
	return good
}

func readGPT(f blockFile, size, sector int64) ([]Volume, error) {
	t, err := gpt.Read(f, int(sector), int(sector))
	if err != nil {
		return nil, fmt.Errorf("cannot read partition table: %w", err)
	}
	var list []Volume
	for _, p := range t.Partitions {
		if p == nil || p.Type == gpt.Unused {
			continue
		}
		limit := uint64(size / sector)
		if p.Start == 0 || p.End < p.Start || p.End >= limit {
			return nil, fmt.Errorf("cannot read partition table: partition %d goes from sector %d to %d of a disk with %d",
				p.Index, p.Start, p.End, limit)
		}
		list = append(list, Volume{Name: fmt.Sprint(p.Index), Number: p.Index, Offset: int64(p.Start) * sector,
			Size: int64(p.End-p.Start+1) * sector, Type: string(p.Type), Label: p.Name, PartUUID: strings.ToLower(p.GUID)})
	}
	return list, nil
}

func readMBR(f blockFile, size int64) ([]Volume, error) {
	t, err := mbr.Read(f, sectorSize, sectorSize)
	if err != nil {
		return nil, fmt.Errorf("cannot read partition table: %w", err)
	}
	var list []Volume
	for i, p := range t.Partitions {
		if p == nil || p.Type == mbr.Empty || p.Size == 0 {
			continue
		}
		v := mbrVolume(t.UUID(), i+1, byte(p.Type), int64(p.Start), int64(p.Size))
		if v.Offset+v.Size > size {
			return nil, fmt.Errorf("cannot read partition table: partition %d ends beyond the disk", i+1)
		}
		if !isExtended(byte(p.Type)) {
			list = append(list, v)
			continue
		}
		logical, err := readLogical(f, t.UUID(), v)
		if err != nil {
			return nil, err
		}
		list = append(list, logical...)
	}
	return list, nil
}

// mbrVolume makes a volume of an entry in sectors.
func mbrVolume(disk string, number int, kind byte, start, size int64) Volume {
	return Volume{Name: fmt.Sprint(number), Number: number, Offset: start * sectorSize, Size: size * sectorSize,
		Type: fmt.Sprintf("%#02x", kind), PartUUID: fmt.Sprintf("%s-%02x", disk, number)}
}

func isExtended(kind byte) bool { return kind == 0x05 || kind == 0x0f || kind == 0x85 }

// readLogical follows the chain of logical partitions, which go-diskfs does not know: each link is a sector with the
// partition, relative to the link, and the next link, relative to the extended partition.
func readLogical(f blockFile, disk string, extended Volume) ([]Volume, error) {
	var list []Volume
	for at := int64(0); ; {
		b := make([]byte, sectorSize)
		if _, err := f.ReadAt(b, extended.Offset+at); err != nil {
			return nil, fmt.Errorf("cannot read logical partitions: %w", err)
		}
		if b[510] != 0x55 || b[511] != 0xaa {
			return nil, errors.New("cannot read logical partitions: a link of the chain is no boot record")
		}
		entry, next := b[446:462], b[462:478]
		start, size := int64(binary.LittleEndian.Uint32(entry[8:])), int64(binary.LittleEndian.Uint32(entry[12:]))
		if entry[4] != 0 && size > 0 {
			v := mbrVolume(disk, 5+len(list), entry[4], 0, size)
			v.Offset = extended.Offset + at + start*sectorSize
			if v.Offset+v.Size > extended.Offset+extended.Size {
				return nil, fmt.Errorf("cannot read logical partitions: partition %d is not inside the extended one", v.Number)
			}
			list = append(list, v)
		}
		to := int64(binary.LittleEndian.Uint32(next[8:])) * sectorSize
		if next[4] == 0 || to == 0 {
			return list, nil
		}
		if to <= at || to >= extended.Size || len(list) > 128 {
			return nil, errors.New("cannot read logical partitions: the chain does not go forward")
		}
		at = to
	}
}
