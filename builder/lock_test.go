package builder

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"goldsmith/builder/layer"
)

func testHome(t *testing.T) Home {
	t.Helper()
	h, err := OpenHome(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestLock shows that one holds it at a time, that it says who, and that its file goes away.
func TestLock(t *testing.T) {
	h := testHome(t)
	l, err := h.lock("x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.lock("x"); !errors.Is(err, errBusy) {
		t.Errorf("taken twice: %v", err)
	}
	l.release()
	if _, err := os.Stat(filepath.Join(h.Dir, "locks", "x.lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stays: %v", err)
	}
	again, err := h.lock("x")
	if err != nil {
		t.Fatal(err)
	}
	again.release()
}

// TestClean shows what is removed, and that what somebody works on is not.
func TestClean(t *testing.T) {
	h := testHome(t)
	left := []string{"cache/layers/0123.new", "images/.dead.new", "images/.busy.new"}
	for _, d := range left {
		if err := os.MkdirAll(filepath.Join(h.Dir, d, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l, err := h.lock("image-busy")
	if err != nil {
		t.Fatal(err)
	}
	defer l.release()
	removed, err := h.Clean(func(string) error { return nil })
	if err != nil || len(removed) != 2 {
		t.Errorf("removed %v, %v", removed, err)
	}
	for i, d := range left {
		if _, err := os.Stat(filepath.Join(h.Dir, d)); (err == nil) != (i == 2) {
			t.Errorf("%s: %v", d, err)
		}
	}
}

// TestHome refuses paths that overlayfs or apt would read otherwise.
func TestHome(t *testing.T) {
	for _, bad := range []string{"a:b", "a,b", `a\b`, "a b", `a"b`, "a\nb"} {
		if _, err := OpenHome(filepath.Join(t.TempDir(), bad)); err == nil {
			t.Errorf("%q is taken for a home", bad)
		}
	}
}

// TestLayerWithoutNote shows that a layer whose note is missing or broken is not there.
func TestLayerWithoutNote(t *testing.T) {
	s := layer.Store{Dir: t.TempDir()}
	for key, note := range map[string]string{"none": "", "broken": "{"} {
		if err := os.MkdirAll(s.Tree(key), 0o755); err != nil {
			t.Fatal(err)
		}
		if note != "" {
			if err := os.WriteFile(filepath.Join(s.Dir, key, "layer.json"), []byte(note), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := s.Find(key); ok {
			t.Errorf("%s is found", key)
		}
	}
}
