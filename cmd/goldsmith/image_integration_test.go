//go:build integration

package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// These scripts make real images, so they need root, loop devices and the tools that make setup installs. They work on a
// real disk, since /tmp may be memory.
func TestRealImages(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "goldsmith-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	testscript.Run(t, testscript.Params{Dir: "testdata/image-real", UpdateScripts: *updateScripts, WorkdirRoot: dir})
}
