package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestFleetCommands runs what can be said wrong to the commands of a fleet. None of it needs root or a tool, and none may
// leave a file.
func TestFleetCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/fleet", UpdateScripts: *updateScripts})
}
