package drivertest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// SmallTree returns the tree that tree.sh builds, or fails the test with the command that builds it.
func SmallTree(t testing.TB) string { return built(t, "GOLDSMITH_TEST_TREE", "test-tree") }

// NetTree returns the tree that nettree.sh builds.
func NetTree(t testing.TB) string { return built(t, "GOLDSMITH_NET_TREE", "net-tree") }

// GuestTree returns the tree that guest.sh builds: a kernel, and an initial ram disk that is a whole small machine.
func GuestTree(t testing.TB) string { return built(t, "GOLDSMITH_GUEST_TREE", "test-guest") }

func built(t testing.TB, variable, name string) string {
	t.Helper()
	tree := os.Getenv(variable)
	if tree == "" {
		tree = "/var/cache/goldsmith/" + name
	}
	if _, err := os.Stat(filepath.Join(tree, "etc/goldsmith-test-tree")); err != nil {
		t.Fatalf("cannot find the tree for tests: %v\nhint: make setup", err)
	}
	return tree
}

// Traces lists what in this host bears mark in its name: processes, mounts, links in any named namespace, namespaces,
// cgroups, files of systemd-nspawn in /run. Nothing of a fleet may be left when it is gone.
func Traces(t testing.TB, mark string) []string {
	t.Helper()
	var out []string
	for _, p := range processes(mark) {
		out = append(out, "process "+p)
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, mark) {
			out = append(out, "mount "+strings.TrimSpace(line))
		}
	}
	for _, pattern := range []string{"/run/netns/*", "/run/systemd/nspawn/*/*", "/sys/fs/cgroup/goldsmith/*", "/sys/fs/cgroup/*/goldsmith/*"} {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			if strings.Contains(filepath.Base(path), mark) {
				out = append(out, path)
			}
		}
	}
	return append(out, links(mark)...)
}

// processes lists command lines that hold mark. Zombies have none.
func processes(mark string) []string {
	var out []string
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		b, _ := os.ReadFile(path)
		if line := strings.ReplaceAll(string(b), "\x00", " "); strings.Contains(line, mark) && path != fmt.Sprintf("/proc/%d/cmdline", os.Getpid()) {
			out = append(out, filepath.Base(filepath.Dir(path))+" "+line)
		}
	}
	return out
}

func links(mark string) []string {
	commands := [][]string{{"-br", "link"}}
	spaces, _ := os.ReadDir("/run/netns")
	for _, e := range spaces {
		commands = append(commands, []string{"-n", e.Name(), "-br", "link"})
	}
	var out []string
	for _, args := range commands {
		b, _ := exec.Command("ip", args...).Output()
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, mark) {
				out = append(out, "link "+strings.TrimSpace(line))
			}
		}
	}
	return out
}

// DiskUsage returns the bytes that the files below dir take on disk: their blocks, not their sizes.
func DiskUsage(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		total += st.Blocks * 512 // of 512 octets, whatever the file system's own are (stat(2))
		return nil
	})
	return total, err
}
