package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBake holds what bake, seal and clean say and refuse; failures first.
func TestBake(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/bake", UpdateScripts: *updateScripts})
}
