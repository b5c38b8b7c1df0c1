//go:build integration

package layer

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/isolate"
)

// TestMain runs the tests in namespaces of their own: they mount.
func TestMain(m *testing.M) {
	if isolate.Inside() {
		if err := isolate.Enter(); err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
	code, err := isolate.Run(context.Background(), os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// bake makes a layer by a shell script that runs in its tree.
func bake(t *testing.T, s Store, key string, below []string, script string) {
	t.Helper()
	d, err := s.Draft(key, below)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-eu", "-c", script)
	cmd.Dir = d.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := d.Commit(Note{Phase: key}, func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

// list describes a tree: path, mode, owner, content.
func list(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			text += " " + string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			text += " -> " + target
		}
		out[strings.TrimPrefix(p, dir+"/")] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFlattenIsTheView shows that the tree of hard links is what overlayfs itself shows of the same layers: whiteouts,
// directories made anew over old ones, files that become directories and the reverse, modes, links, pipes.
func TestFlattenIsTheView(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	bake(t, s, "one", nil, `mkdir -p a/deep keep swap gone/x; echo 1 > a/deep/f; echo 2 > a/g; echo 3 > keep/h; echo 4 > turn; echo 5 > swap/s; mkfifo pipe; ln -s a/g link; chmod 4755 a/g; chmod 1777 keep`)
	bake(t, s, "two", []string{"one"}, `rm -r a; mkdir a; echo new > a/n; rm turn; mkdir turn; echo in > turn/t; rm -r swap; echo flat > swap; rm -r gone; rm link; ln -s keep link; echo more >> keep/h; chown 33:44 keep/h`)
	bake(t, s, "three", []string{"one", "two"}, `rm a/n; echo again > a/n2; mkdir gone; rm pipe`)
	keys := []string{"one", "two", "three"}
	view := filepath.Join(t.TempDir(), "view")
	if err := os.Mkdir(view, 0o755); err != nil {
		t.Fatal(err)
	}
	unmount, err := s.View(keys, view)
	if err != nil {
		t.Fatal(err)
	}
	want := list(t, view)
	if err := unmount(); err != nil {
		t.Fatal(err)
	}
	flat := filepath.Join(s.Dir, "flat")
	if err := s.Flatten(t.Context(), keys, flat); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, list(t, flat)); diff != "" {
		t.Errorf("-overlayfs +flattened:\n%s", diff)
	}
	if len(want) < 8 || want["a/n2"] == "" || want["a/deep"] != "" {
		t.Errorf("the view itself is not what was made: %v", want)
	}
}

// TestOneLayer shows that a single layer, of which overlayfs makes no read-only mount, can be viewed too.
func TestOneLayer(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	bake(t, s, "one", nil, "echo 1 > f")
	view := filepath.Join(s.Dir, "view")
	if err := os.Mkdir(view, 0o755); err != nil {
		t.Fatal(err)
	}
	unmount, err := s.View([]string{"one"}, view)
	if err != nil {
		t.Fatal(err)
	}
	if got := list(t, view); len(got) != 1 {
		t.Errorf("view: %v", got)
	}
	if err := unmount(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(view + ".empty"); err == nil {
		t.Error("the helper folder stays")
	}
}

// TestDiscard shows that a draft that was given up, or whose maker was killed, leaves nothing and is no layer.
func TestDiscard(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	d, err := s.Draft("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Root, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := s.Draft("x", nil) // as after SIGKILL: the old draft is in the way
	if err == nil {
		t.Error("a draft was made over one that is mounted")
		_ = again.Discard()
	}
	if err := d.Discard(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(s.Dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, ok := s.Find("x"); ok {
		t.Error("it is a layer")
	}
}
