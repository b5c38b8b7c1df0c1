//go:build integration

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// These scripts make real images, so they need root, loop devices and the tools that make setup installs.
func TestRealImages(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/image-real", UpdateScripts: *updateScripts, WorkdirRoot: "/var/tmp"})
}
