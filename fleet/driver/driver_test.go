package driver

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/report"
)

func TestHierarchies(t *testing.T) {
	tests := []struct{ name, mountinfo, want string }{
		{"version 2 only", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup"},
		{"both, without cpuset", `31 23 0:27 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
32 23 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
33 23 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 23 0:30 / /sys/fs/cgroup/memory rw shared:1 master:2 - cgroup cgroup rw,memory
`, "/sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup/memory"},
		{"none", "22 1 0:5 / /proc rw - proc proc rw\n\nrubbish - x\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseHierarchies(strings.NewReader(tt.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnonymousMemory(t *testing.T) {
	for stat, want := range map[string]int64{
		"cache 1\nrss 2\ntotal_cache 30\ntotal_rss 4096\n": 4096, "anon 8192\nfile 1\n": 8192, "anon x\n": 0, "": 0,
	} {
		if got, ok := anonymous(stat); got != want || ok != (want > 0) {
			t.Errorf("%q: got %d, %t", stat, got, ok)
		}
	}
}

func FuzzHierarchies(f *testing.F) {
	f.Add("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n")
	f.Fuzz(func(t *testing.T, s string) { parseHierarchies(strings.NewReader(s)) })
}

func TestACloneCannotMakeUsReadOutside(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	root := filepath.Join(dir, "root")
	must(t, os.WriteFile(outside, []byte("secret of the host"), 0o600))
	must(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc/real"), []byte("inside"), 0o600))
	must(t, os.Symlink("/etc/real", filepath.Join(root, "absolute")))
	must(t, os.Symlink("../outside", filepath.Join(root, "upward")))
	must(t, os.Symlink(outside, filepath.Join(root, "out")))
	must(t, syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600))
	must(t, os.Symlink("loop", filepath.Join(root, "loop")))
	huge, err := os.Create(filepath.Join(root, "huge"))
	must(t, err)
	must(t, huge.Truncate(maxFile+1))
	must(t, huge.Close())

	for _, path := range []string{"etc/real", "/etc/real", "absolute", "../../etc/real"} {
		if b, err := ReadInside(root, path); err != nil || string(b) != "inside" {
			t.Errorf("%s: got %q, %v", path, b, err)
		}
	}
	for _, path := range []string{"upward", "out", "fifo", "loop", "huge", "etc", "missing", outside} {
		if b, err := ReadInside(root, path); err == nil {
			t.Errorf("%s: read %d bytes, want an error", path, len(b))
		}
	}
}

func TestNspawnRefusesBeforeItStarts(t *testing.T) {
	tests := []struct {
		name string
		m    Machine
		want string
	}{
		{"an image without a tree", Machine{Image: Image{Name: "x", Disk: "/x.qcow2"}}, "has no root tree"},
		{"a tree without systemd", Machine{Image: Image{Name: "x", Root: t.TempDir()}}, "no systemd in it"},
		{"a path that overlayfs would misread", Machine{Image: Image{Name: "x", Root: "/a:b"}}, "have a meaning"},
		{"memory", Machine{Memory: 512}, "cannot set memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Nspawn{}.Check(t.Context(), tt.m)
			if err == nil || !strings.Contains(err.Error(), tt.want) || report.CodeOf(err) != report.Usage {
				t.Errorf("got %v, want bad input saying %q", err, tt.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
