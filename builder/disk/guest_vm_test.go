//go:build vm && integration

package disk

import (
	"os"
	"path/filepath"
	"testing"
)

// TestVMWithoutMountsByLibguestfs edits xfs and btrfs as an ordinary user, through libguestfs, which boots a kernel for it.
func TestVMWithoutMountsByLibguestfs(t *testing.T) {
	peer(t, "guestmount", "guestmount linux-image-cloud-amd64")
	for _, fs := range []string{"xfs", "btrfs"} {
		t.Run(fs, func(t *testing.T) {
			format := map[string]string{"xfs": "qcow2", "btrfs": "raw"}[fs]
			image := handMade(t, fs, gptDisk, "2", format)
			elsewhere(t, image, "^TestVMLibguestfsChild$")
			fsck(t, image, "2", fs)
			i, err := Open(t.Context(), image, Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close()
			if data, err := i.FS.ReadFile("etc/hostname"); err != nil || string(data) != "clone\n" {
				t.Errorf("%q, %v", data, err)
			}
			if i.FS.Exists("etc/os-release.new") {
				t.Error("what was written into a throwaway is in the image")
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(image), ".goldsmith*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

func TestVMLibguestfsChild(t *testing.T) {
	image := os.Getenv(withoutMounts)
	if image == "" {
		t.Skip("this is a part of TestVMWithoutMountsByLibguestfs")
	}
	open := func(o Options) *Image {
		t.Helper()
		i, err := Open(t.Context(), image, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(i.Caveat())
		return i
	}
	i := open(Options{Throwaway: true})
	if err := i.FS.WriteFile("etc/os-release.new", nil, 0o644); err != nil {
		t.Error(err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	i = open(Options{})
	if err := i.FS.WriteFile("etc/hostname", []byte("clone\n"), 0o644); err != nil {
		t.Error(err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
}
