package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// tree makes a root with the given files and opens it.
func tree(t *testing.T, files map[string]string) (*Host, string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(p), 0o755))
		check(t, os.WriteFile(p, []byte(content), 0o644))
	}
	h, err := Open(dir, Options{})
	check(t, err)
	t.Cleanup(func() { h.Close() })
	return h, dir
}

func TestLinksNeverLeadOut(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	check(t, os.WriteFile(outside, []byte("host secret"), 0o600))
	h, dir := tree(t, map[string]string{"etc/real": "inside"})
	check(t, os.Symlink(outside, filepath.Join(dir, "etc/absolute")))
	check(t, os.Symlink("../../../../../../../.."+outside, filepath.Join(dir, "etc/dots")))
	check(t, os.Symlink("/etc/real", filepath.Join(dir, "etc/fine")))
	check(t, os.Symlink("/", filepath.Join(dir, "rootlink")))

	for _, name := range []string{"/etc/absolute", "/etc/dots", "/rootlink" + outside, "/../../.." + outside} {
		if data, err := h.ReadFile(name); err == nil {
			t.Errorf("%s read %q", name, data)
		}
		if err := h.Replace(name, []byte("x"), Meta{Mode: 0o644}); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "host secret" {
		t.Errorf("outside holds %q %v", got, err)
	}
	if got, err := h.ReadFile("/etc/fine"); err != nil || string(got) != "inside" {
		t.Errorf("absolute link inside: %q %v", got, err)
	}
}

func TestReplaceKeepsWhatBelongsToTheFile(t *testing.T) {
	h, dir := tree(t, map[string]string{"etc/conf": "old\n"})
	p := filepath.Join(dir, "etc/conf")
	check(t, os.Chown(p, 1234, 4321))
	check(t, os.Chmod(p, 0o640))
	check(t, unix.Setxattr(p, "user.label", []byte("kept"), 0))
	check(t, os.Symlink("conf", filepath.Join(dir, "etc/link")))

	check(t, h.Replace("/etc/link", []byte("new\n"), Meta{Mode: 0o777}))

	info, err := os.Stat(p)
	check(t, err)
	st := info.Sys().(*syscall.Stat_t)
	if st.Uid != 1234 || st.Gid != 4321 || info.Mode().Perm() != 0o640 {
		t.Errorf("owner %d:%d mode %v", st.Uid, st.Gid, info.Mode())
	}
	buf := make([]byte, 64)
	if n, err := unix.Getxattr(p, "user.label", buf); err != nil || string(buf[:n]) != "kept" {
		t.Errorf("attribute %q %v", buf[:max(n, 0)], err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "etc/link")); err != nil || to != "conf" {
		t.Errorf("the link became %q %v", to, err)
	}
	if got, _ := os.ReadFile(p); string(got) != "new\n" {
		t.Errorf("content %q", got)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "etc"))
	check(t, err)
	if len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestReplaceTakesOverWhatACutLeft(t *testing.T) {
	h, _ := tree(t, map[string]string{"etc/conf": "old", "etc/.conf" + suffix: "half"})
	check(t, h.Replace("/etc/conf", []byte("new"), Meta{}))
	if got, _ := h.ReadFile("/etc/conf"); string(got) != "new" {
		t.Errorf("content %q", got)
	}
}

func TestReplaceRefusesToSplitHardLinks(t *testing.T) {
	h, dir := tree(t, map[string]string{"etc/conf": "old"})
	check(t, os.Link(filepath.Join(dir, "etc/conf"), filepath.Join(dir, "etc/other")))
	if err := h.Replace("/etc/conf", []byte("new"), Meta{}); !errors.Is(err, ErrInPlace) {
		t.Fatalf("error %v", err)
	}
	check(t, h.WriteInPlace("/etc/conf", []byte("n")))
	if got, _ := h.ReadFile("/etc/other"); string(got) != "n" {
		t.Errorf("the other name holds %q", got)
	}
}

func TestReplaceRefusesOddFiles(t *testing.T) {
	h, dir := tree(t, map[string]string{"etc/x": ""})
	check(t, unix.Mkfifo(filepath.Join(dir, "etc/fifo"), 0o600))
	check(t, os.Symlink("loop", filepath.Join(dir, "etc/loop")))
	for _, name := range []string{"/etc/fifo", "/etc/loop", "/etc", "/missing/dir/file"} {
		if err := h.Replace(name, []byte("x"), Meta{Mode: 0o600}); err == nil {
			t.Errorf("%s was replaced", name)
		}
	}
	if _, err := h.ReadFile("/etc/fifo"); err == nil {
		t.Error("a fifo was read")
	}
}

func TestGlob(t *testing.T) {
	h, dir := tree(t, map[string]string{"etc/a/ifcfg-x": "", "etc/a/ifcfg-y": "", "etc/b/ifcfg-z": "", "etc/a/.ifcfg-h": "", "etc/f": ""})
	check(t, os.Symlink("/etc/b", filepath.Join(dir, "etc/c")))
	cases := map[string][]string{
		"/etc/*/ifcfg-*":   {"/etc/a/ifcfg-x", "/etc/a/ifcfg-y", "/etc/b/ifcfg-z", "/etc/c/ifcfg-z"},
		"/etc/a/ifcfg-[y]": {"/etc/a/ifcfg-y"},
		"/etc/none/*":      nil,
		"/etc/f/*":         nil,
		"/etc/a/ifcfg-x":   {"/etc/a/ifcfg-x"},
	}
	for pattern, want := range cases {
		got, err := h.Glob(pattern)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", pattern, err, d)
		}
	}
	if _, err := h.Glob("/etc/[a"); err == nil {
		t.Error("a broken pattern matched")
	}
}

func TestMissingIsNotExist(t *testing.T) {
	h, _ := tree(t, nil)
	if _, err := h.ReadFile("/etc/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	check(t, h.Remove("/etc/none/none"))
	check(t, h.MkdirAll("/var/lib/goldsmith", 0o700))
	check(t, h.Remove("/var/lib/goldsmith/none"))
	info, err := h.Stat("/var/lib/goldsmith")
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestQuoteRefusesWhatIsNoName(t *testing.T) {
	for _, bad := range []string{"", "a b", "x`y", "a;drop", "é", string(make([]byte, 65))} {
		if _, err := Quote(bad); err == nil {
			t.Errorf("%q was quoted", bad)
		}
	}
	if got, err := QuoteTable("nova_api", "cell_mappings"); err != nil || got != "`nova_api`.`cell_mappings`" {
		t.Errorf("%s %v", got, err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
