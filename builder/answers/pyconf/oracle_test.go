//go:build integration

package pyconf

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oracle reads JSON strings, one per line, and says for each what configparser makes of it.
const oracle = `
import configparser, io, json, sys
for line in sys.stdin:
    c = configparser.RawConfigParser()
    try:
        c.read_file(io.TextIOWrapper(io.BytesIO(json.loads(line).encode()), encoding='utf-8'))
    except configparser.Error as e:
        print(json.dumps(None)); continue
    out = {s: dict(c._sections[s]) for s in c.sections()}
    out['DEFAULT'] = dict(c._defaults)
    print(json.dumps(out))
`

// TestParseAgreesWithPython compares Parse with the real configparser on generated files.
func TestParseAgreesWithPython(t *testing.T) {
	parts := []string{"[general]", "[DEFAULT]", "[h]", "A", "B", "=", ":", " ", "  ", "\t", "\n", "\n", "\n", "\r\n", "\r", "#", ";", "x y", "\"n\"",
		"\ufeff", "\u00a0", "\x1f", "\x0c", "\u2028", "[", "a", "b", "=1\n", "A=1\n", "C=2\n", "  D=3\n", "\x00", "\u0416"}
	rnd := rand.New(rand.NewPCG(1, 2))
	var inputs []string
	for range 20000 {
		var b strings.Builder
		if rnd.IntN(4) > 0 {
			b.WriteString("[general]\n")
		}
		for range rnd.IntN(14) {
			b.WriteString(parts[rnd.IntN(len(parts))])
		}
		if !twoBrackets(b.String()) {
			inputs = append(inputs, b.String())
		}
	}
	var in bytes.Buffer
	for _, s := range inputs {
		line, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd := exec.Command("/usr/bin/python3", "-c", oracle)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot ask python3: %v", err)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(inputs) {
		t.Fatalf("python3 gave %d answers to %d files", len(answers), len(inputs))
	}
	accepted := 0
	for i, data := range inputs {
		var want map[string]map[string]string
		if err := json.Unmarshal([]byte(answers[i]), &want); err != nil {
			t.Fatal(err)
		}
		f := Parse([]byte(data), Lower)
		if (want == nil) != (len(f.Faults) > 0) {
			t.Fatalf("%q: faults %v, Python's answer %s", data, f.Faults, answers[i])
		}
		if want == nil {
			continue
		}
		accepted++
		if diff := cmp.Diff(want, asPython(f)); diff != "" {
			t.Fatalf("%q (-python +ours):\n%s", data, diff)
		}
	}
	if accepted < len(inputs)/20 {
		t.Errorf("only %d of %d files were accepted: the generator no longer tests much", accepted, len(inputs))
	}
}

// twoBrackets finds lines as "[a] [b]": up to Python 3.10 the header ends at the first bracket (packstack and otopi run
// there, and so do we), later at the last.
func twoBrackets(data string) bool {
	for _, l := range splitLines(data) {
		if strings.Count(l.Text, "]") > 1 {
			return true
		}
	}
	return false
}

func asPython(f *File) map[string]map[string]string {
	out := map[string]map[string]string{DefaultSection: {}}
	for _, s := range f.Sections {
		if out[s.Name] == nil {
			out[s.Name] = map[string]string{}
		}
	}
	for _, s := range f.Settings {
		out[s.Section][s.Key] = s.Value
	}
	return out
}
