package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestImages(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/images", UpdateScripts: *updateScripts})
}

func TestProgressHasALineForEachTenth(t *testing.T) {
	var b bytes.Buffer
	tell := progressLine(&b, "x")
	for done := int64(0); done <= 200<<20; done += 5 << 20 {
		tell(done, 200<<20)
	}
	if n := bytes.Count(b.Bytes(), []byte("\n")); n != 11 {
		t.Errorf("%d lines, want 11:\n%s", n, b.String())
	}
	b.Reset()
	tell = progressLine(&b, "x")
	for _, done := range []int64{1, 2, 150 << 20} {
		tell(done, -1)
	}
	if diff := cmp.Diff("x: 0 MiB \nx: 150 MiB \n", b.String()); diff != "" {
		t.Error(diff)
	}
}
