package volume

import (
	"bytes"
	"errors"
	"testing"

	"goldsmith/firstboot/pv/pvtest"
)

const groupText = "g {\nid = \"x\"\nphysical_volumes {\npv0 {\nid = \"other\"\ndev_size = 7\n}\n" +
	"pv1 {\nid = \"AbCdEf-0123-4567-89Ab-CdEf-0123-456789\"\ndevice = \"/dev/vda2\"\n\ndev_size = 4096\t# 2 Megabytes\npe_start = 2048\n}\n}\n}\n"

func TestPVSize(t *testing.T) {
	if n, err := pvSize(bytes.NewReader(pvtest.Make(groupText, 512))); n != 2<<20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for name, disk := range map[string][]byte{"no text of it": pvtest.Make("g {\n}\n", 512), "no label": make([]byte, 4096)} {
		if n, err := pvSize(bytes.NewReader(disk)); !errors.Is(err, errPV) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// FuzzPVSize reads any disk without a panic.
func FuzzPVSize(f *testing.F) {
	f.Add(pvtest.Make(groupText, 512))
	f.Fuzz(func(t *testing.T, disk []byte) {
		if n, err := pvSize(bytes.NewReader(disk)); err == nil && n < 0 {
			t.Errorf("%d bytes", n)
		}
	})
}
