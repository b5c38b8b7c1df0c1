package main

import (
	"bytes"
	"testing"

	"github.com/urfave/cli/v2"

	"goldsmith/fleet"
)

// The column STACK is there where somebody knocked, and says who did not answer.
func TestStackColumn(t *testing.T) {
	for _, tc := range []struct {
		all  []fleet.Standing
		want string
	}{
		{[]fleet.Standing{{Clone: "t-1", State: "ready"}}, "CLONE  STATE  MAC  IP  READY AFTER  AGE\nt-1    ready       -   -            -\n"},
		{[]fleet.Standing{{Clone: "t-1", State: "ready", Up: []string{"keystone", "glance"}},
			{Clone: "t-2", State: "ready", Up: []string{"keystone"}, Down: []string{"glance", "horizon"}}, {Clone: "t-3", State: "booting"}},
			"CLONE  STATE    MAC  IP  READY AFTER  AGE  STACK\n" +
				"t-1    ready         -   -            -    2 up\n" +
				"t-2    ready         -   -            -    no glance, horizon\n" +
				"t-3    booting       -   -            -    -\n"},
	} {
		var out bytes.Buffer
		app := &cli.App{Writer: &out, Action: func(c *cli.Context) error { return writeStandings(c, tc.all) }}
		if err := app.Run([]string{"goldsmith"}); err != nil || out.String() != tc.want {
			t.Errorf("%v, printed\n%s\nwant\n%s", err, out.String(), tc.want)
		}
	}
}
