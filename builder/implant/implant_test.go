package implant

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

func TestPutTwiceIsPutOnce(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(t.TempDir(), "firstboot")
	if err := os.WriteFile(binary, []byte("program"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	i := Implant{Binary: binary, Units: []string{"apache2.service"}, Imprint: identity.Imprint{Format: 1, Image: "golden"}}
	for range 2 {
		written, err := i.Put(root)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range written {
			if _, err := os.Lstat(filepath.Join(dir, p)); err != nil {
				t.Errorf("said to be written: %v", err)
			}
		}
		if !slices.Contains(written, "/etc/systemd/system/apache2.service.d/10-goldsmith.conf") {
			t.Errorf("the stack does not wait: %v", written)
		}
	}
	var got identity.Imprint
	b, err := root.ReadFile(identity.ImprintFile)
	if err != nil || json.Unmarshal(b, &got) != nil || got.Image != "golden" {
		t.Errorf("imprint: %s, %v", b, err)
	}
	for path, mode := range map[string]os.FileMode{identity.Binary: 0o755, identity.ImprintFile: 0o600} {
		if st, err := root.Stat(path); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, st, err)
		}
	}
}

func TestPutWithoutBinaryIsBadInput(t *testing.T) {
	root, err := tree.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = Implant{Binary: "/no/firstboot"}.Put(root)
	if report.CodeOf(err) != report.Usage || !strings.Contains(err.Error(), "cannot read firstboot") {
		t.Errorf("got %v", err)
	}
}
