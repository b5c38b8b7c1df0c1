package tree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// open returns a tree in a directory that has a sibling, "outside", which nothing may touch.
func open(t *testing.T) (root *FS, dir, outside string) {
	t.Helper()
	top := t.TempDir()
	dir, outside = filepath.Join(top, "tree"), filepath.Join(top, "outside")
	for _, d := range []string{dir, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir, outside
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingLeadsOutside(t *testing.T) {
	root, dir, outside := open(t)
	check(t, os.Symlink(outside, filepath.Join(dir, "absolute")))
	check(t, os.Symlink("../outside", filepath.Join(dir, "relative")))
	check(t, os.Symlink("../../../../../../../.."+outside, filepath.Join(dir, "far")))
	check(t, os.Symlink("/proc/self/root", filepath.Join(dir, "magic")))
	for _, name := range []string{"absolute/secret", "relative/secret", "far/secret", "../outside/secret",
		"/../../outside/secret", "magic" + outside + "/secret"} {
		t.Run(name, func(t *testing.T) {
			if b, err := root.ReadFile(name); err == nil {
				t.Errorf("read %q from outside", b)
			}
			_ = root.MkdirAll(filepath.Dir(name), 0o755) // what it makes, it makes inside
			_ = root.WriteFile(name, []byte("overwritten"), 0o644)
			_ = root.Chmod(name, 0)
			_ = root.Remove(name)
			_ = root.RemoveAll(filepath.Dir(name))
			got, err := os.ReadFile(filepath.Join(outside, "secret"))
			check(t, err)
			if string(got) != "host" {
				t.Errorf("a file outside became %q", got)
			}
		})
	}
}

func TestMagicLinksAreRefused(t *testing.T) {
	proc, err := Open("/proc/self")
	check(t, err)
	defer proc.Close()
	if _, err := proc.ReadFile("fd/0"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a link of the kernel was followed: %v", err)
	}
}

func TestRealResolvesInside(t *testing.T) {
	root, dir, _ := open(t)
	check(t, os.MkdirAll(filepath.Join(dir, "usr/bin"), 0o755))
	check(t, os.MkdirAll(filepath.Join(dir, "etc"), 0o755))
	check(t, os.Symlink("usr/bin", filepath.Join(dir, "bin")))
	check(t, os.Symlink("../../etc/conf", filepath.Join(dir, "usr/bin/conf")))
	check(t, os.Symlink("/etc/../bin/conf", filepath.Join(dir, "chain")))
	check(t, os.Symlink("../../..", filepath.Join(dir, "up")))
	check(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	for name, want := range map[string]string{
		"bin/conf": "etc/conf", "/chain": "etc/conf", "up/etc/x": "etc/x", "bin/new": "usr/bin/new", "/": ".", "": ".",
		"../..": ".", "no/such/../thing": "no/thing",
	} {
		got, err := root.Real(name)
		check(t, err)
		if got != want {
			t.Errorf("Real(%q) is %q, want %q", name, got, want)
		}
	}
	if _, err := root.Real("loop/x"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop of links: %v", err)
	}
}

func TestWriteKeepsWhatItReplaces(t *testing.T) {
	root, dir, _ := open(t)
	file := filepath.Join(dir, "conf")
	check(t, os.WriteFile(file, []byte("old and long"), 0o600))
	check(t, os.Chmod(file, 0o751|os.ModeSetuid))
	check(t, root.SetXattr("conf", "user.note", []byte("kept")))
	check(t, os.Symlink("/conf", filepath.Join(dir, "link")))
	check(t, os.Link(file, filepath.Join(dir, "other name")))

	check(t, root.WriteFile("link", []byte("new"), 0o644))

	got, err := root.ReadFile("conf")
	check(t, err)
	if string(got) != "new" {
		t.Errorf("content is %q", got)
	}
	st, err := root.Lstat("conf")
	check(t, err)
	if st.Mode() != 0o751|fs.ModeSetuid {
		t.Errorf("mode is %v", st.Mode())
	}
	if note, err := root.Xattr("conf", "user.note"); err != nil || string(note) != "kept" {
		t.Errorf("attribute is %q, %v", note, err)
	}
	if st, err := root.Lstat("link"); err != nil || st.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", st, err)
	}
	if old, err := root.ReadFile("other name"); err != nil || string(old) != "old and long" {
		t.Errorf("the other name has %q, %v", old, err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, ".goldsmith*")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
}

// failing gives half of a file.
type failing struct{ sent bool }

func (f *failing) Read(p []byte) (int, error) {
	if f.sent {
		return 0, errors.New("the source broke")
	}
	f.sent = true
	return copy(p, "half"), nil
}

func TestBrokenWriteChangesNothing(t *testing.T) {
	root, dir, _ := open(t)
	check(t, os.WriteFile(filepath.Join(dir, "conf"), []byte("old"), 0o644))
	if err := root.WriteFrom("conf", &failing{}, 0o644); err == nil || !strings.Contains(err.Error(), "the source broke") {
		t.Errorf("got %v", err)
	}
	entries, err := root.ReadDir(".")
	check(t, err)
	if got, _ := root.ReadFile("conf"); string(got) != "old" || len(entries) != 1 {
		t.Errorf("conf is %q, and there is %v", got, entries)
	}
}

func TestSpecialFilesDoNotHang(t *testing.T) {
	root, dir, _ := open(t)
	check(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	if _, err := root.ReadFile("fifo"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("reading a pipe: %v", err)
	}
	if err := root.WriteFile("fifo", nil, 0o644); !errors.Is(err, ErrNotRegular) {
		t.Errorf("writing a pipe: %v", err)
	}
	check(t, os.Truncate(touch(t, dir, "huge"), 1<<40))
	if _, err := root.ReadFile("huge"); !errors.Is(err, ErrTooBig) {
		t.Errorf("reading a file of a tebibyte: %v", err)
	}
}

func touch(t *testing.T, dir, name string) string {
	t.Helper()
	full := filepath.Join(dir, name)
	check(t, os.WriteFile(full, nil, 0o644))
	return full
}

func TestRemoveAndFriends(t *testing.T) {
	root, dir, outside := open(t)
	check(t, root.MkdirAll("a/b/c", 0o750))
	check(t, root.MkdirAll("a/b/c", 0o700))
	check(t, root.WriteFile("a/b/c/file", []byte("x"), 0o640))
	check(t, root.Symlink(outside, "a/b/out"))
	check(t, root.Rename("a/b/c/file", "a/renamed"))
	check(t, root.Truncate("a/renamed"))
	check(t, root.Truncate("a/not there"))
	if st, err := root.Stat("a/renamed"); err != nil || st.Size() != 0 || st.Mode() != 0o640 {
		t.Errorf("renamed file: %v %v", st, err)
	}
	check(t, root.Remove("a/renamed"))
	check(t, root.Remove("a/renamed"))
	if err := root.Remove("a"); err == nil {
		t.Errorf("a full directory was removed")
	}
	check(t, root.RemoveAll("a"))
	check(t, root.RemoveAll("a"))
	if err := root.RemoveAll("/"); err == nil {
		t.Errorf("the root was removed")
	}
	for _, d := range []string{dir, outside} {
		if _, err := os.Stat(d); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "secret")); err != nil {
		t.Errorf("removing a link removed what it led to: %v", err)
	}
}

func TestWalks(t *testing.T) {
	root, _, _ := open(t)
	check(t, root.MkdirAll("etc/x", 0o755))
	check(t, root.WriteFile("etc/x/1", nil, 0o644))
	check(t, root.WriteFile("etc/2", nil, 0o644))
	check(t, root.Symlink("/etc", "link"))
	var got []string
	check(t, fs.WalkDir(root, ".", func(name string, _ fs.DirEntry, err error) error {
		got = append(got, name)
		return err
	}))
	if diff := cmp.Diff([]string{".", "etc", "etc/2", "etc/x", "etc/x/1", "link"}, got); diff != "" {
		t.Errorf("walk (-want +got):\n%s", diff)
	}
	matches, err := fs.Glob(root, "link/*/[0-9]")
	check(t, err)
	if diff := cmp.Diff([]string{"link/x/1"}, matches); diff != "" {
		t.Errorf("glob (-want +got):\n%s", diff)
	}
}

func FuzzReal(f *testing.F) {
	f.Add("a/b", "../../x", "/y")
	f.Add("", "/..", "a/../..")
	f.Fuzz(func(t *testing.T, name, link1, link2 string) {
		root, _, _ := open(t)
		_ = root.Symlink(link1, "a") // not every text can be a link
		_ = root.Symlink(link2, "b")
		real, err := root.Real(name)
		if err != nil {
			return
		}
		if again, err := root.Real(real); err == nil && again != real {
			t.Errorf("%q became %q, and that %q", name, real, again)
		}
		if strings.HasPrefix(real, "/") || real == ".." || strings.HasPrefix(real, "../") {
			t.Errorf("%q became %q", name, real)
		}
	})
}
