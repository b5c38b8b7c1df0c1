//go:build integration

package disk

import (
	"os"
	"path/filepath"
	"testing"

	"goldsmith/firstboot/report"
)

// TestDerive makes images of an image in every way, changes them, and looks that the original did not notice.
func TestDerive(t *testing.T) {
	dir := scratch(t)
	raw := filepath.Join(dir, "vm.raw")
	must(t, "truncate", "-s", "64M", raw)
	tree := filepath.Join(dir, "tree")
	for name, data := range map[string]string{"etc/os-release": "ID=x\n", "etc/hostname": "golden\n"} {
		if err := os.MkdirAll(filepath.Join(tree, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "mkfs.ext4", "-q", "-F", "-d", tree, raw)
	vmdk := filepath.Join(dir, "vm.vmdk")
	must(t, "qemu-img", "convert", "-O", "vmdk", raw, vmdk)
	before := sum(t, raw)
	for _, c := range []struct {
		name, from, method string
		o                  DeriveOptions
	}{
		{"overlay", raw, "overlay", DeriveOptions{}},
		{"copy", raw, "copy", DeriveOptions{Copy: true}},
		{"conversion", vmdk, "conversion", DeriveOptions{}},
	} {
		out := filepath.Join(dir, c.name+".img")
		d, err := Derive(t.Context(), c.from, out, c.o)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Discard()
		if d.Method != c.method {
			t.Errorf("%s: made by %s", c.name, d.Method)
		}
		i, err := Open(t.Context(), d.Path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := i.FS.WriteFile("etc/hostname", []byte("changed\n"), 0o644); err != nil {
			t.Error(err)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(out); err == nil {
			t.Errorf("%s has its name before it is complete", c.name)
		}
		if err := d.Commit(); err != nil {
			t.Fatal(err)
		}
		if i, err = Open(t.Context(), out, Options{ReadOnly: true}); err != nil {
			t.Fatal(err)
		}
		if b, err := i.FS.ReadFile("etc/hostname"); string(b) != "changed\n" || err != nil {
			t.Errorf("%s: %q, %v", c.name, b, err)
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		if _, err := Derive(t.Context(), c.from, out, c.o); report.CodeOf(err) != report.Usage {
			t.Errorf("%s was written over: %v", c.name, err)
		}
	}
	if sum(t, raw) != before {
		t.Error("the original was changed")
	}
	d, err := Derive(t.Context(), raw, filepath.Join(dir, "thrown.img"), DeriveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Discard()
	if _, err := Derive(t.Context(), vmdk, filepath.Join(dir, "o.img"), DeriveOptions{Overlay: true}); report.CodeOf(err) != report.Usage {
		t.Errorf("an overlay of a VMDK: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if _, e := os.Lstat(filepath.Join(dir, "thrown.img")); e == nil || err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
