//go:build integration || vm

package disk

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// unixStat is what Sys of a FileInfo is.
type unixStat = syscall.Stat_t

// must runs a tool of the host and fails the test, not skips it, when it is missing.
func must(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// scratch is a directory on a real disk: /tmp may be memory.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "goldsmith-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
