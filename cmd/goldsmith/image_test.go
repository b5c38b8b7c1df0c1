package main

import (
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"goldsmith/builder/disk"
)

func TestImageCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/image", UpdateScripts: *updateScripts})
}

func TestMeterSaysWhatIsLeft(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		p    disk.Progress
		want string
	}{
		{disk.Progress{Phase: "convert", Done: 25 * mib, Total: 100 * mib}, "convert                       10.0s  [##........]  25%  2.5 MiB/s, 30.0s left"},
		{disk.Progress{Phase: "percent", Done: 50, Total: 100}, "percent                       10.0s  [#####.....]  50%  10.0s left"},
		{disk.Progress{Phase: "no total"}, "no total                      10.0s"},
	} {
		if got := (&meter{}).line(c.p, 10*time.Second); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func TestDefaultOutput(t *testing.T) {
	for in, want := range map[string]string{"a/golden.qcow2": "golden.ova", "golden": "golden.ova", "x/y.z/": "y.ova", ".hidden": ".hidden.ova"} {
		if got := defaultOutput(in, "ova"); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
