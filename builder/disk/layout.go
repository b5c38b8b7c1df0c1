package disk

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	"github.com/diskfs/go-diskfs/partition/gpt"
	"github.com/google/uuid"
)

// The partitions of a new image. Root is number 1 and last on the disk, so that it can grow; the loader's is number 14:
// what Debian's and Ubuntu's own cloud images have, and what their users' scripts expect.
const (
	rootNumber = 1
	biosNumber = 14

	mib       = 1 << 20
	biosStart = mib / sectorSize     // first sector of the BIOS boot partition
	rootStart = 2 * mib / sectorSize // first sector of the root partition
	tailBytes = mib                  // kept free at the end: backup GPT, and alignment
)

// A layout is a new image's partition table.
type layout struct {
	size     int64 // bytes of the disk
	diskGUID string
	rootGUID string
	rootFS   string // UUID of the root file system
}

func newLayout(size int64) layout {
	return layout{size: size, diskGUID: guid(), rootGUID: guid(), rootFS: strings.ToLower(guid())}
}

// guid makes a random one in the upper case that go-diskfs wants.
func guid() string {
	return strings.ToUpper(uuid.Must(uuid.NewRandomFromReader(rand.Reader)).String())
}

// rootBytes is the size of the root partition.
func (l layout) rootBytes() int64 {
	return (l.size-tailBytes)/mib*mib - rootStart*sectorSize
}

func (l layout) rootOffset() int64 { return rootStart * sectorSize }

// write puts the partition table on the disk.
func (l layout) write(f *os.File) error {
	t := &gpt.Table{
		LogicalSectorSize: sectorSize, PhysicalSectorSize: sectorSize, GUID: l.diskGUID, ProtectiveMBR: true,
		Partitions: []*gpt.Partition{
			{Index: rootNumber, Start: rootStart, End: uint64(rootStart + l.rootBytes()/sectorSize - 1),
				Type: gpt.LinuxRootX86_64, Name: "root", GUID: l.rootGUID},
			{Index: biosNumber, Start: biosStart, End: rootStart - 1, Type: gpt.BIOSBoot, Name: "BIOS boot", GUID: guid()},
		},
	}
	if err := t.Write(f, l.size); err != nil {
		return fmt.Errorf("cannot write partition table: %w", err)
	}
	return nil
}
