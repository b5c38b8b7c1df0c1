package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A signature recognises what a volume holds. Offsets and magic numbers are those of util-linux's libblkid.
type signature struct {
	name  string
	at    int64
	magic string
	read  func(v *Volume, b []byte) // takes more out of the 4 KiB at base; may be nil
	base  int64
}

// signatures is in the order of asking: what contains others comes first.
var signatures = []signature{
	{name: "crypto_LUKS", at: 0, magic: "LUKS\xba\xbe"},
	{name: "linux_raid_member", at: 4096, magic: "\xfc\x4e\x2b\xa9"},
	{name: "linux_raid_member", at: 0, magic: "\xfc\x4e\x2b\xa9"},
	{name: fsLVM, at: 512 + 24, magic: "LVM2 001"},
	{name: fsLVM, at: 24, magic: "LVM2 001"},
	{name: fsXFS, at: 0, magic: "XFSB", read: readXFS},
	{name: fsBtrfs, at: 0x10040, magic: "_BHRfS_M", read: readBtrfs, base: 0x10000},
	{name: fsExt4, at: 0x438, magic: "\x53\xef", read: readExt, base: 0x400},
	{name: "swap", at: 4086, magic: "SWAPSPACE2"},
	{name: "ntfs", at: 3, magic: "NTFS    "},
	{name: "vfat", at: 82, magic: "FAT32   "},
	{name: "vfat", at: 54, magic: "FAT1"},
	{name: "iso9660", at: 0x8001, magic: "CD001"},
	{name: "squashfs", at: 0, magic: "hsqs"},
	{name: "zfs_member", at: 128 << 10, magic: "\x0c\xb1\xba\x00"},
}

// The file systems that can be opened, and what can hold them.
const (
	fsExt4  = "ext4"
	fsXFS   = "xfs"
	fsBtrfs = "btrfs"
	fsLVM   = "LVM2_member"
)

// probe finds out what is in the volume that r shows.
func probe(v *Volume, r io.ReaderAt) {
	for _, s := range signatures {
		got := make([]byte, len(s.magic))
		if _, err := r.ReadAt(got, s.at); err != nil || string(got) != s.magic {
			continue
		}
		v.FS = s.name
		block := make([]byte, 4096)
		if s.read != nil {
			if _, err := r.ReadAt(block, s.base); err == nil {
				s.read(v, block)
			}
		}
		return
	}
}

// extNeedsRecovery is a bit of s_feature_incompat: the journal holds writes that are not yet in place.
const extNeedsRecovery = 0x4

func readExt(v *Volume, b []byte) {
	v.UUID, v.FSLabel = uuidText(b[0x68:]), cText(b[0x78:0x88])
	if binary.LittleEndian.Uint32(b[0x5c:])&0x4 == 0 { // no journal
		v.FS = "ext2"
	}
	if binary.LittleEndian.Uint32(b[0x60:])&extNeedsRecovery != 0 {
		v.dirty = "its journal was not written back: the machine was not shut down cleanly, or it is still running"
	}
	if binary.LittleEndian.Uint16(b[0x3a:])&0x2 != 0 {
		v.damaged = "its last user found errors in it"
	}
}

func readXFS(v *Volume, b []byte) {
	v.UUID, v.FSLabel = uuidText(b[32:]), cText(b[108:120])
}

func readBtrfs(v *Volume, b []byte) {
	v.UUID, v.FSLabel = uuidText(b[0x20:]), cText(b[0x12b:0x22b])
	if binary.LittleEndian.Uint64(b[0x60:]) != 0 { // log_root
		v.dirty = "its log was not written back: the machine was not shut down cleanly, or it is still running"
	}
	if n := binary.LittleEndian.Uint64(b[0x88:]); n != 1 {
		v.Refused = fmt.Sprintf("the btrfs is spread over %d devices; only one is supported", n)
	}
}

func uuidText(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// cText is text that ends at a zero byte.
func cText(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(bytes.ToValidUTF8(b, []byte("?")))
}
