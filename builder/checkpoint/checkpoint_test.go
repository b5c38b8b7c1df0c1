package checkpoint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/builder/layer"
)

// first makes a checkpoint of one disk of a megabyte.
func first(t *testing.T, s Store) {
	t.Helper()
	d, err := s.First("image", 1)
	must(t, err)
	raw := filepath.Join(t.TempDir(), "raw")
	must(t, os.WriteFile(raw, make([]byte, 1<<20), 0o600))
	must(t, qcow2.Overlay{Backing: raw, BackingFormat: "raw", Size: 1 << 20}.Create(d.Disk(0)))
	must(t, d.Commit("one", layer.Note{Phase: "machine"}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func backing(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	h, err := qcow2.Read(f)
	must(t, err)
	return h.Backing
}

// TestChain shows what stands on what, and that a draft's successor names the checkpoint that the draft becomes.
func TestChain(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	first(t, s)
	d, err := s.Draft("image", "one")
	must(t, err)
	if got := backing(t, d.Disk(0)); got != s.Disk("one", 0) {
		t.Errorf("draft stands on %s", got)
	}
	n, err := d.Next("image-2", "two")
	must(t, err)
	if _, ok := s.Find("two"); ok {
		t.Error("found before it was committed")
	}
	must(t, d.Commit("two", layer.Note{Phase: "step"}))
	if got := backing(t, n.Disk(0)); got != s.Disk("two", 0) {
		t.Errorf("next stands on %s", got)
	}
	if note, ok := s.Find("two"); !ok || note.Below != "one" || note.Key != "two" || note.Disks != 1 {
		t.Errorf("found %+v, %v", note, ok)
	}
	must(t, n.Discard())
	list, err := s.List()
	must(t, err)
	if len(list) != 2 {
		t.Errorf("list %+v", list)
	}
}

// TestWithoutGround shows that what lost its ground is not found, and cannot be drafted on.
func TestWithoutGround(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	first(t, s)
	d, err := s.Draft("image", "one")
	must(t, err)
	must(t, d.Commit("two", layer.Note{}))
	must(t, s.Remove("one"))
	if _, ok := s.Find("two"); ok {
		t.Error("found without its ground")
	}
	if _, err := s.Draft("image", "two"); err == nil || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("drafted: %v", err)
	}
}

// TestLeftovers shows that a draft takes the place of one that a killed bake left, and that a sweep leaves others' alone.
func TestLeftovers(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	first(t, s)
	for range 2 {
		_, err := s.Draft("image-0", "one")
		must(t, err)
	}
	_, err := s.Draft("other-0", "one")
	must(t, err)
	must(t, s.Sweep("image-"))
	left, err := filepath.Glob(filepath.Join(s.Dir, "*.draft"))
	must(t, err)
	if len(left) != 1 || filepath.Base(left[0]) != "other-0.draft" {
		t.Errorf("left: %v", left)
	}
}
