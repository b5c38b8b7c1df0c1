package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var updateScripts = flag.Bool("update", false, "write the golden parts of the scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"goldsmith": func() {
		os.Exit(int(process()))
	}})
}

func TestAnswers(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/answers", UpdateScripts: *updateScripts})
}
