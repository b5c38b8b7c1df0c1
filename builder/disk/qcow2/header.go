// Package qcow2 reads the headers of qcow2 files and writes overlays: files that hold only what differs from a backing
// file. Everything else about qcow2 is qemu's business.
//
// The format is described in qemu's docs/interop/qcow2.txt. A header is untrusted input: qemu follows the name of the
// backing file wherever it leads, so we read it first and decide.
package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Magic is what every qcow2 file starts with.
const Magic = "QFI\xfb"

// ErrFormat says that something is no qcow2 file that qemu could have written.
var ErrFormat = errors.New("not a valid qcow2 file")

// A Feature is an incompatible feature bit: who does not know it must not open the file.
type Feature uint64

// The incompatible features that are known.
const (
	Dirty           Feature = 1 << iota // refcounts may be wrong; repaired by the next writer
	Corrupt                             // must not be written
	ExternalData                        // the guest's data is in another file
	CompressionType                     // another compression than zlib
	ExtendedL2                          // subclusters

	known = Dirty | Corrupt | ExternalData | CompressionType | ExtendedL2
)

// A Header is what the first cluster says.
type Header struct {
	Version       int    // 2 or 3
	Size          int64  // bytes of the virtual disk
	ClusterSize   int64  // bytes
	Backing       string // as it is written: relative to the directory of this file; "" for none
	BackingFormat string // "" if not said
	Encrypted     bool
	Features      Feature
	Snapshots     int
	Zstd          bool // clusters are compressed by zstd; needs qemu 5.1
}

// Limits that qemu has, too (block/qcow2.h); a header beyond them is refused there.
const (
	minClusterBits, maxClusterBits = 9, 21
	maxL1Bytes                     = 32 << 20
	maxRefTableBytes               = 8 << 20
	maxSnapshots                   = 65536
	maxBackingName                 = 1023
	maxSize                        = 1 << 62

	lengthV2 = 72
	lengthV3 = 104
)

// raw is the header as it lies on the disk, big endian.
type raw struct {
	Magic              [4]byte
	Version            uint32
	BackingOffset      uint64
	BackingSize        uint32
	ClusterBits        uint32
	Size               uint64
	Crypt              uint32
	L1Size             uint32
	L1Offset           uint64
	RefTableOffset     uint64
	RefTableClusters   uint32
	Snapshots          uint32
	SnapshotsOffset    uint64
	Incompatible       uint64
	Compatible         uint64
	Autoclear          uint64
	RefcountOrder      uint32
	HeaderLength       uint32
	CompressionTypePad [8]byte // the first byte is the compression type; part of the header when it is 112 bytes long
}

// Read reads and checks the header of r.
func Read(r io.ReaderAt) (*Header, error) {
	buf := make([]byte, binary.Size(raw{}))
	n, err := r.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read qcow2 header: %w", err)
	}
	if n < lengthV2 || string(buf[:4]) != Magic {
		return nil, fmt.Errorf("%w: no header", ErrFormat)
	}
	var h raw
	if _, err := binary.Decode(buf, binary.BigEndian, &h); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if h.Version == 2 { // the rest did not exist yet
		h.Incompatible, h.Compatible, h.Autoclear, h.RefcountOrder, h.HeaderLength = 0, 0, 0, 4, lengthV2
	}
	if err := h.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return h.read(r)
}

// check refuses what no writer of qcow2 makes.
func (h *raw) check() error {
	switch {
	case h.Version != 2 && h.Version != 3:
		return fmt.Errorf("version %d", h.Version)
	case h.ClusterBits < minClusterBits || h.ClusterBits > maxClusterBits:
		return fmt.Errorf("clusters of 2^%d bytes", h.ClusterBits)
	case h.Size > maxSize:
		return fmt.Errorf("a disk of %d bytes", h.Size)
	case h.Crypt > 2:
		return fmt.Errorf("encryption method %d", h.Crypt)
	case Feature(h.Incompatible)&^known != 0:
		return fmt.Errorf("unknown incompatible features %#x", h.Incompatible&^uint64(known))
	case h.RefcountOrder > 6:
		return fmt.Errorf("refcounts of 2^%d bits", h.RefcountOrder)
	case h.Version == 3 && (h.HeaderLength < lengthV3 || h.HeaderLength%8 != 0 || uint64(h.HeaderLength) > h.cluster()):
		return fmt.Errorf("a header of %d bytes", h.HeaderLength)
	}
	return h.checkTables()
}

// checkTables looks at what points into the file.
func (h *raw) checkTables() error {
	cluster := h.cluster()
	entries := (h.Size + cluster*cluster/8 - 1) / (cluster * cluster / 8)
	if Feature(h.Incompatible)&ExtendedL2 != 0 {
		entries = (h.Size + cluster*cluster/16 - 1) / (cluster * cluster / 16)
	}
	switch {
	case uint64(h.L1Size)*8 > maxL1Bytes || uint64(h.L1Size) < entries:
		return fmt.Errorf("a first table of %d entries for a disk that needs %d", h.L1Size, entries)
	case h.L1Offset%cluster != 0 || h.L1Offset > maxSize || h.L1Size > 0 && h.L1Offset == 0:
		return fmt.Errorf("a first table at %d", h.L1Offset)
	case h.RefTableOffset%cluster != 0 || h.RefTableOffset > maxSize:
		return fmt.Errorf("a refcount table at %d", h.RefTableOffset)
	case h.RefTableClusters == 0 || uint64(h.RefTableClusters)*cluster > maxRefTableBytes:
		return fmt.Errorf("a refcount table of %d clusters", h.RefTableClusters)
	case h.Snapshots > maxSnapshots || h.SnapshotsOffset%cluster != 0:
		return fmt.Errorf("%d snapshots at %d", h.Snapshots, h.SnapshotsOffset)
	case h.BackingSize > maxBackingName || h.BackingOffset > cluster || h.BackingOffset+uint64(h.BackingSize) > cluster:
		return fmt.Errorf("a backing name of %d bytes at %d", h.BackingSize, h.BackingOffset)
	}
	return nil
}

func (h *raw) cluster() uint64 { return 1 << h.ClusterBits }

// read reads what the header points to within the first cluster.
func (h *raw) read(r io.ReaderAt) (*Header, error) {
	out := &Header{
		Version: int(h.Version), Size: int64(h.Size), ClusterSize: int64(h.cluster()), Encrypted: h.Crypt != 0,
		Features: Feature(h.Incompatible), Snapshots: int(h.Snapshots),
		Zstd: Feature(h.Incompatible)&CompressionType != 0 && h.HeaderLength > lengthV3 && h.CompressionTypePad[0] == 1,
	}
	head := make([]byte, h.cluster())
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("cannot read qcow2 header: %w", err)
	}
	head = head[:n]
	extensions, err := readExtensions(head, int(h.HeaderLength))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	out.BackingFormat = extensions[extBackingFormat]
	if h.BackingOffset == 0 {
		return out, nil
	}
	end := h.BackingOffset + uint64(h.BackingSize)
	if end > uint64(len(head)) {
		return nil, fmt.Errorf("%w: the name of the backing file is cut off", ErrFormat)
	}
	out.Backing = string(head[h.BackingOffset:end])
	if strings.IndexByte(out.Backing, 0) >= 0 {
		return nil, fmt.Errorf("%w: the name of the backing file has a zero byte", ErrFormat)
	}
	return out, nil
}

// Header extensions: u32 type, u32 length, data padded to 8 bytes; type 0 ends them.
const (
	extEnd           = 0
	extBackingFormat = 0xe2792aca
)

func readExtensions(head []byte, at int) (map[uint32]string, error) {
	out := map[uint32]string{}
	for at+8 <= len(head) {
		kind, size := binary.BigEndian.Uint32(head[at:]), binary.BigEndian.Uint32(head[at+4:])
		if kind == extEnd {
			return out, nil
		}
		at += 8
		if uint64(at)+uint64(size) > uint64(len(head)) {
			return nil, fmt.Errorf("a header extension of %d bytes", size)
		}
		out[kind] = string(bytes.TrimRight(head[at:at+int(size)], "\x00"))
		at += (int(size) + 7) &^ 7
	}
	return out, nil
}
