package main

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var updateScripts = flag.Bool("update", false, "write the golden parts of the scripts anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"goldsmith": func() {
		os.Exit(int(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)))
	}})
}

func TestAnswers(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/answers", UpdateScripts: *updateScripts})
}
