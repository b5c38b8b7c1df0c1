//go:build integration

package ini_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text/ini"
)

// oracle reads a JSON list of files and prints what oslo.config's own reader makes of each: [option, value] in file order,
// or null where it refuses the file.
const oracle = `
import io, json, sys
from oslo_config import iniparser
class P(iniparser.BaseParser):
    def new_section(self, section): self.section = section
    def assignment(self, key, value):
        if not self.section: raise self.parse_exc("no section", self.lineno, "")
        self.seen.append(["[%s] %s" % (self.section, key), "\n".join(value)])
    def parse_exc(self, *a): return iniparser.ParseError(*a)
def read(data):
    p = P()
    p.section, p.seen = None, []
    try:
        p.parse(io.StringIO(data, newline=None).readlines())
    except iniparser.ParseError:
        return None
    return p.seen
json.dump([read(d) for d in json.load(sys.stdin)], sys.stdout)
`

type reading [][2]string

func oslo(t *testing.T, files ...string) []reading {
	t.Helper()
	in, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-c", oracle)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot run oslo.config's reader: %v\n%s\nhint: apt-get install python3-oslo.config", err, &errs)
	}
	var all []reading
	if err := json.Unmarshal(out, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func ours(data string) reading {
	entries, err := ini.List([]byte(data))
	if err != nil {
		return nil
	}
	all := reading{}
	for _, e := range entries {
		all = append(all, [2]string{e.Key, e.Value})
	}
	return all
}

// Files that oslo.config reads, we read alike; files that it refuses, we refuse; after a Set it reads our value.
func TestReadsAsOsloConfig(t *testing.T) {
	files := []string{
		dialect, strings.ReplaceAll(dialect, "\n", "\r\n"), read(t, "nova.conf"),
		"x = 1\n", "[a]\nx\n", "[a]\n\n  # c\n", "[a\n", "[]\n", "[a]\n= 1\n", "\ufeff[a]\nx=1\n", "[a]\nx = \"\ny = '\n",
		"[a]\nx = 1\n \n  2\n", "[a]\nx = 1\n  2\n \ny = 3\n", "[a]\nx = 1\x1f\n", "[a]\nx = \u00a01\u00a0\n", "[a]\nx =\n  1\n",
		"[a]\nx = \"1\n  2\"\n", "[ a ]\nx = 1\n", "[a]\nx = 1", "",
	}
	for _, f := range files[:3] {
		for _, e := range ours(f) {
			for _, v := range []string{"", "10.0.9.23", " padded ", `"q"`, `'`, "a#b;c", "1\n2\n3", "%(x)s $y", "\u00fc"} {
				out, err := ini.Codec.Set([]byte(f), e[0], v)
				if err != nil {
					t.Fatalf("Set(%s, %q): %v", e[0], v, err)
				}
				if files = append(files, string(out)); len(out) > 10000 {
					break // a large file once per option
				}
			}
		}
	}
	for i, want := range oslo(t, files...) {
		if diff := cmp.Diff(want, ours(files[i])); diff != "" {
			t.Errorf("file %d, %.200q: %s", i, files[i], diff)
		}
	}
}
