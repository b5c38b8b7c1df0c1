// Package pvtest makes physical volumes without LVM's tools.
package pvtest

import (
	"encoding/binary"

	"goldsmith/firstboot/pv"
)

// ID is the UUID of the volumes that Make makes.
const ID = "AbCdEf0123456789AbCdEf0123456789"

// Where things are in a volume of Make: offsets and sizes in bytes.
const (
	Label    = 512
	Area     = 4096
	AreaSize = 64 << 10
	Header   = 512 // of the area; then its ring begins
)

// Make returns the beginning of a physical volume whose group's text stands in its ring from at on, counted from the start of
// the area, and goes around where it does not fit.
func Make(text string, at int) []byte {
	disk := make([]byte, Area+AreaSize)
	label := disk[Label : 2*Label]
	copy(label, "LABELONE")
	binary.LittleEndian.PutUint64(label[8:], 1)
	binary.LittleEndian.PutUint32(label[20:], 32)
	copy(label[24:], "LVM2 001")
	copy(label[32:], ID)
	binary.LittleEndian.PutUint64(label[64:], 2<<30)
	binary.LittleEndian.PutUint64(label[72:], 1<<20) // data area, then the end of the list
	binary.LittleEndian.PutUint64(label[104:], Area)
	binary.LittleEndian.PutUint64(label[112:], AreaSize)
	binary.LittleEndian.PutUint32(label[16:], pv.Checksum(label[20:]))

	area := disk[Area:]
	n := copy(area[at:], text)
	copy(area[Header:], text[n:])
	h := area[:Header]
	copy(h[4:], " LVM2 x[5A%r0N*>")
	binary.LittleEndian.PutUint32(h[20:], 1)
	for i, v := range []int{Area, AreaSize, at, len(text)} {
		binary.LittleEndian.PutUint64(h[24+8*i:], uint64(v))
	}
	binary.LittleEndian.PutUint32(h[56:], pv.Checksum([]byte(text)))
	binary.LittleEndian.PutUint32(h, pv.Checksum(h[4:]))
	return disk
}
