package volume

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/cut"
)

// A write is one piece of a new table. The pieces are in the order in which they must reach the disk: whatever is cut, one
// of the two tables of a GPT is whole.
type write struct {
	at   int64
	data []byte
}

// growPart writes the partition's new end into the table and tells the kernel, while the partition is in use.
func (r *Root) growPart(context.Context) error {
	if r.Disk.Size-r.Start-r.Part.Size < Slack {
		return nil
	}
	f, err := os.OpenFile(r.Disk.node(), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot grow partition: %w", err)
	}
	defer f.Close()
	list, end, err := enlarge(f, r.Disk.Size, r.SectorSize, r.Number, r.Start)
	if err != nil {
		return fmt.Errorf("cannot grow partition: %w", err)
	}
	for _, w := range list {
		if _, err := f.WriteAt(w.data, w.at); err != nil {
			return fmt.Errorf("cannot grow partition: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("cannot grow partition: %w", err)
		}
		cut.Point("table written")
	}
	if err := resize(f, r.Number, r.Start, end-r.Start); err != nil {
		return fmt.Errorf("cannot tell the kernel the partition's new size: %w", err)
	}
	cut.Point("partition grown")
	return nil
}

// resize is BLKPG_RESIZE_PARTITION (linux/blkpg.h).
func resize(disk *os.File, number int, start, size int64) error {
	part := struct {
		start, length int64
		number        int32
		names         [128]byte
	}{start: start, length: size, number: int32(number)}
	arg := struct {
		op, flags, length int32
		data              unsafe.Pointer
	}{op: 3, length: int32(unsafe.Sizeof(part)), data: unsafe.Pointer(&part)}
	const blkpg = 0x1269
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), blkpg, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return errno
	}
	return nil
}

const align = 1 << 20

// enlarge makes the pieces of a table in which a partition ends where the disk does, and returns where that is.
func enlarge(disk io.ReaderAt, size, sector int64, number int, start int64) ([]write, int64, error) {
	first := make([]byte, 512)
	if _, err := disk.ReadAt(first, 0); err != nil {
		return nil, 0, err
	}
	for e := first[446:510]; len(e) > 0; e = e[16:] {
		if e[4] == 0xee { // what protects a GPT from tools that do not know it
			return enlargeGPT(disk, size, sector, number, start)
		}
	}
	if first[510] != 0x55 || first[511] != 0xaa {
		return nil, 0, errors.New("no partition table that is known")
	}
	return enlargeMBR(first, size, sector, number, start)
}

// enlargeMBR changes one number.
func enlargeMBR(first []byte, size, sector int64, number int, start int64) ([]write, int64, error) {
	if number < 1 || number > 4 {
		return nil, 0, fmt.Errorf("partition %d is a logical one", number)
	}
	e := first[446+16*(number-1):]
	if int64(binary.LittleEndian.Uint32(e[8:]))*sector != start {
		return nil, 0, fmt.Errorf("partition %d is elsewhere in the table", number)
	}
	end := min(size, start+(1<<32-1)*sector) / align * align // more than this an MBR cannot say
	end = max(end, start+int64(binary.LittleEndian.Uint32(e[12:]))*sector)
	binary.LittleEndian.PutUint32(e[12:], uint32((end-start)/sector))
	return []write{{0, first}}, end, nil
}

// Fields of a GPT's header (UEFI specification, 5.3.2).
const (
	gptSize, gptCRC, gptMine, gptOther, gptLast, gptEntries = 12, 16, 24, 32, 48, 72
	gptCount, gptEntry, gptEntriesCRC                       = 80, 84, 88
)

// A gpt is one of the two tables.
type gpt struct {
	head    []byte // as long as it says that it is
	entries []byte // with what fills their last sector
	from    int64  // sector where the entries are
	used    int64  // bytes of entries that the checksum covers
	entry   int64  // bytes of each
}

var errGPT = errors.New("the GPT is damaged")

// readGPT reads the table whose header is in the sector at; the entries of both tables are the same. A table of which only
// the entries are damaged is returned with the error.
func readGPT(disk io.ReaderAt, at, sector, size int64) (*gpt, error) {
	le, head := binary.LittleEndian, make([]byte, sector)
	if _, err := disk.ReadAt(head, at*sector); err != nil {
		return nil, err
	}
	hs, count := int64(le.Uint32(head[gptSize:])), int64(le.Uint32(head[gptCount:]))
	g := &gpt{entry: int64(le.Uint32(head[gptEntry:]))}
	if string(head[:8]) != "EFI PART" || hs < 92 || hs > sector || g.entry < 128 || g.entry > 4096 || count < 1 || count > 1024 {
		return nil, errGPT
	}
	g.head, g.used = head[:hs], g.entry*count
	g.entries = make([]byte, (g.used+sector-1)/sector*sector)
	from := le.Uint64(head[gptEntries:])
	if le.Uint32(head[gptCRC:]) != headerSum(g.head) || from < 2 || from > uint64((size-int64(len(g.entries)))/sector) {
		return nil, errGPT
	}
	g.from = int64(from)
	if _, err := disk.ReadAt(g.entries, g.from*sector); err != nil {
		return nil, err
	}
	if le.Uint32(head[gptEntriesCRC:]) != crc32(g.entries[:g.used]) {
		return g, errGPT
	}
	return g, nil
}

// enlargeGPT writes the second table to the new end of the disk before it touches the first; when it was cut while it wrote
// the first, the second is what it starts from.
func enlargeGPT(disk io.ReaderAt, size, sector int64, number int, start int64) ([]write, int64, error) {
	le, last := binary.LittleEndian, size/sector-1
	g, err := readGPT(disk, 1, sector, size)
	first := int64(2) // where the entries are that belong to the first header; some tools leave room before them
	if g != nil {
		first = g.from
	}
	if err != nil {
		if g, err = readGPT(disk, last, sector, size); err != nil {
			return nil, 0, err
		}
	}
	if number < 1 || int64(number)*g.entry > g.used {
		return nil, 0, fmt.Errorf("the GPT has no partition %d", number)
	}
	e, behind := g.entries[int64(number-1)*g.entry:], last-int64(len(g.entries))/sector
	if int64(le.Uint64(e[32:]))*sector != start {
		return nil, 0, fmt.Errorf("partition %d is elsewhere in the GPT", number)
	}
	if now := int64(le.Uint64(e[40:])); now < behind*sector/align*align/sector-1 {
		le.PutUint64(e[40:], uint64(behind*sector/align*align/sector-1)) // partitions end on a MiB
	}
	le.PutUint32(g.head[gptEntriesCRC:], crc32(g.entries[:g.used]))
	le.PutUint64(g.head[gptLast:], uint64(behind-1))
	one := g.at(1, last, first)
	two := g.at(last, 1, behind)
	pad := make([]byte, sector)
	return []write{{behind * sector, append(bytes.Clone(g.entries), append(two, pad[len(two):]...)...)}, {sector, append(one, pad[len(one):]...)},
		{first * sector, g.entries}}, (int64(le.Uint64(e[40:])) + 1) * sector, nil
}

// at returns the header as it is in one of the two places.
func (g *gpt) at(mine, other, entries int64) []byte {
	h := bytes.Clone(g.head)
	binary.LittleEndian.PutUint64(h[gptMine:], uint64(mine))
	binary.LittleEndian.PutUint64(h[gptOther:], uint64(other))
	binary.LittleEndian.PutUint64(h[gptEntries:], uint64(entries))
	binary.LittleEndian.PutUint32(h[gptCRC:], headerSum(h))
	return h
}

// headerSum is the checksum of a header, which lies in the header and counts as zero.
func headerSum(h []byte) uint32 {
	b := bytes.Clone(h)
	clear(b[gptCRC : gptCRC+4])
	return crc32(b)
}

// crc32 is the usual checksum, bit by bit: a table of GPT is small, and the library's would be a fifth of this package.
func crc32(b []byte) uint32 {
	sum := ^uint32(0)
	for _, c := range b {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0xedb88320&-(sum&1)
		}
	}
	return ^sum
}
