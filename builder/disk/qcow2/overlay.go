package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// An overlay is four things, each at the start of a cluster of 64 KiB: the header, the table of refcount blocks, one
// refcount block (16 bits for each cluster of the file), and the first-level table, all zero: nothing is different yet.
const (
	clusterBits = 16
	clusterSize = 1 << clusterBits

	refTableCluster = 1
	refBlockCluster = 2
	l1Cluster       = 3

	l1Covers     = clusterSize * clusterSize / 8 // bytes of the disk for each entry of the first-level table
	maxL1Entries = maxL1Bytes / 8
)

// Overlay says what a new overlay stands on.
type Overlay struct {
	Backing       string // name of the backing file, as it shall be written: absolute, or relative to the overlay
	BackingFormat string // "qcow2" or "raw"; it is never left to be guessed
	Size          int64  // bytes of the virtual disk; at least what the backing file has
}

// Create writes a new overlay. An existing file is an error. The header is written last, so that a file which a killed
// process has left is refused by everybody.
func (o Overlay) Create(path string) (err error) {
	if err := o.check(); err != nil {
		return fmt.Errorf("cannot make overlay %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("cannot make overlay: %w", err)
	}
	if err := errors.Join(o.Write(f), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("cannot make overlay %s: %w", path, err), os.Remove(path))
	}
	return nil
}

// Write writes the overlay into an empty file.
func (o Overlay) Write(f *os.File) error {
	head, err := o.header()
	if err != nil {
		return err
	}
	used := l1Cluster + o.l1Clusters()
	if err := f.Truncate(used * clusterSize); err != nil {
		return err
	}
	counts := bytes.Repeat([]byte{0, 1}, int(used))
	if _, err := f.WriteAt(counts, refBlockCluster*clusterSize); err != nil {
		return err
	}
	table := binary.BigEndian.AppendUint64(nil, refBlockCluster*clusterSize)
	if _, err := f.WriteAt(table, refTableCluster*clusterSize); err != nil {
		return err
	}
	_, err = f.WriteAt(head, 0)
	return err
}

func (o Overlay) l1Entries() int64  { return (o.Size + l1Covers - 1) / l1Covers }
func (o Overlay) l1Clusters() int64 { return max(1, (o.l1Entries()*8+clusterSize-1)/clusterSize) }

func (o Overlay) check() error {
	switch {
	case o.Backing == "" || len(o.Backing) > maxBackingName:
		return fmt.Errorf("the name of the backing file has %d bytes, and 1 to %d are possible", len(o.Backing), maxBackingName)
	case o.BackingFormat != "qcow2" && o.BackingFormat != "raw":
		return fmt.Errorf("a backing file of format %q is not supported", o.BackingFormat)
	case o.Size <= 0 || o.Size%512 != 0 || o.l1Entries() > maxL1Entries:
		return fmt.Errorf("a disk of %d bytes is not supported", o.Size)
	}
	return nil
}

// header renders the header, its extension and the name of the backing file.
func (o Overlay) header() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	ext := binary.BigEndian.AppendUint32(nil, extBackingFormat)
	ext = binary.BigEndian.AppendUint32(ext, uint32(len(o.BackingFormat)))
	ext = append(ext, o.BackingFormat...)
	ext = append(ext, make([]byte, -len(ext)&7+8)...) // padding, and the end of extensions
	h := raw{
		Magic: [4]byte([]byte(Magic)), Version: 3, ClusterBits: clusterBits, Size: uint64(o.Size),
		BackingOffset: uint64(lengthV3 + len(ext)), BackingSize: uint32(len(o.Backing)),
		L1Size: uint32(max(1, o.l1Entries())), L1Offset: l1Cluster * clusterSize,
		RefTableOffset: refTableCluster * clusterSize, RefTableClusters: 1, RefcountOrder: 4, HeaderLength: lengthV3,
	}
	out, err := binary.Append(nil, binary.BigEndian, h)
	if err != nil {
		return nil, err
	}
	out = append(out[:lengthV3], ext...)
	return append(out, o.Backing...), nil
}
