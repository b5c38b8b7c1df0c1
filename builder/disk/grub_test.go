package disk

import (
	"encoding/binary"
	"strings"
	"testing"
)

// fakeCore is a core.img of n bytes with the one field that patchGRUB relies on.
func fakeCore(n int) []byte {
	core := make([]byte, n)
	binary.LittleEndian.PutUint16(core[blockListSegment:], restSegment)
	return core
}

func TestPatchGRUB(t *testing.T) {
	boot, core := make([]byte, sectorSize), fakeCore(10*sectorSize+1)
	if err := patchGRUB(boot, core, 2048, 11); err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint64(boot[0x5c:]); got != 2048 {
		t.Errorf("boot sector reads core.img from sector %d", got)
	}
	if boot[0x66] != 0x90 || boot[0x67] != 0x90 {
		t.Errorf("drive check is % x", boot[0x66:0x68])
	}
	if got := binary.LittleEndian.Uint64(core[500:]); got != 2049 {
		t.Errorf("the rest starts at sector %d", got)
	}
	if got := binary.LittleEndian.Uint16(core[508:]); got != 10 {
		t.Errorf("the rest has %d sectors", got)
	}
}

func TestPatchGRUBRefuses(t *testing.T) {
	boot := make([]byte, sectorSize)
	for _, c := range []struct {
		name       string
		boot, core []byte
		sectors    uint64
		want       string
	}{
		{"short boot.img", boot[:100], fakeCore(4096), 100, "boot.img has 100 bytes"},
		{"short core.img", boot, make([]byte, 600), 100, "too short"},
		{"no room", boot, fakeCore(4096), 7, "needs 8 sectors"},
		{"other layout", boot, make([]byte, 4096), 100, "unknown layout"},
	} {
		if err := patchGRUB(c.boot, c.core, 2048, c.sectors); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
