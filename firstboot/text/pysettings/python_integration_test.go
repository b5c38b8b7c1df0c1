//go:build integration

package pysettings_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text/pysettings"
)

// python reads sources from stdin and says of each what Python itself sees in it: null where it refuses the source, else
// the string tokens that stand on the right side of an assignment at the top level.
const python = `
import ast, io, json, sys, tokenize, warnings
warnings.simplefilter("ignore")
def strings(source):
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return None
    parts = [(s.value.lineno, s.value.col_offset, s.value.end_lineno, s.value.end_col_offset)
             for s in body if isinstance(s, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and s.value]
    lines = source.encode().splitlines(keepends=True)
    found = []
    for t in tokenize.generate_tokens(io.StringIO(source).readline):
        if t.type != tokenize.STRING:
            continue
        at = (t.start[0], len(t.line[:t.start[1]].encode()) if t.start[0] == t.end[0] else t.start[1])
        if any((a, b) <= at < (c, d) for a, b, c, d in parts):
            try:
                value = ast.literal_eval(t.string)
            except (SyntaxError, ValueError):
                continue
            if isinstance(value, str) and "\\N" not in t.string and not any(0xd800 <= ord(c) < 0xe000 for c in value):
                found.append(value)
    return found
json.dump([strings(s) for s in json.load(sys.stdin)], sys.stdout)
`

// seenByPython runs all sources through one interpreter.
func seenByPython(t *testing.T, sources []string) []*[]string {
	t.Helper()
	in, err := json.Marshal(sources)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/python3", "-c", python)
	cmd.Stdin = bytes.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v\n%s", err, errs.String())
	}
	var seen []*[]string
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatal(err)
	}
	return seen
}

var nasty = []string{"", "10.0.9.23", `it's "so"`, `back\slash\`, "line\nline", "\r\t\x00\x7f", "Ж😀\u2028", "'''", `"""`, "# no comment", "%s {x}"}

// agree checks that Python accepts every source and reads the strings that this package reads.
func agree(t *testing.T, sources []string) {
	t.Helper()
	for i, want := range seenByPython(t, sources) {
		found, err := pysettings.Strings([]byte(sources[i]))
		if err != nil || want == nil {
			t.Errorf("accepted by Python: %v, here: %v\n%s", want != nil, err, sources[i])
			continue
		}
		got := []string{}
		for _, l := range found {
			got = append(got, l.Value)
		}
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Errorf("Python reads (-), we read (+):\n%s\n%s", diff, sources[i])
		}
	}
}

func TestPythonReadsWhatWasWritten(t *testing.T) {
	var sources []string
	for _, s := range samples(t) {
		sources = append(sources, s)
		found, err := pysettings.Strings([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		step := len(found)/12 + 1
		for i := 0; i < len(found); i += step {
			for _, value := range nasty {
				out, err := pysettings.ReplaceLiteral([]byte(s), found[i], value)
				if err != nil {
					t.Fatal(err)
				}
				sources = append(sources, string(out))
			}
		}
	}
	agree(t, sources)
}

func TestPythonReadsWhatWasSet(t *testing.T) {
	var sources []string
	for _, in := range []string{"X = ['a', 'b', ]\n", "X = ('a',)\n", "X = {'a', 'b'}\n", "X = [\n    'a',  # first\n    'b'  # second\n]\n", "X = []", "X = ()",
		"Y = 1", "if A:\n    B = 1\n", "X = (\n'a',\n'b')\n", "X = [\r\n  u'a',\r\n]\r\n"} {
		for _, values := range [][]string{{"x"}, {"x", "y"}, nasty, nasty[:5]} {
			out, err := pysettings.SetStrings([]byte(in), "X", values)
			if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
			sources = append(sources, string(out))
		}
	}
	for _, in := range []string{"X = 'a'", "X = (\n 'a'\n 'b')\n", "X = r\"a\"", "X = '''\n'''\n", "A = 1; X = U'b'; B = 2\n", ""} {
		for _, value := range nasty {
			out, err := pysettings.SetString([]byte(in), "X", value)
			if err != nil {
				t.Fatalf("%q: %v", in, err)
			}
			sources = append(sources, string(out))
		}
	}
	agree(t, sources)
}

// What Set lets through as a literal, Python takes for one.
func TestPythonTakesEveryLiteral(t *testing.T) {
	var sources []string
	for _, value := range []string{"1", "-1.5", "0", "0.0", "00", "007", "1.", ".5", "1e5", "1_000", "0x1f", "True", "None", "Nones", "-True", "[]", "()", "{}",
		"[,]", "[1,]", "(1,)", "(,)", "{1}", "{1: 2}", "{1: 2, 3}", "{1, 2: 3}", "{[1]: 2}", "{(1,): [2]}", "{1: {2: {3}}}", "'a' 'b'", "'a' 1", "'\\x'", "r'\\x'",
		"'\\N{DASH}'", "b'a'", "'a' b'a'", "f'a'", "[\n1 # c\n,\n]", "[1 # c ]", "1\n", "(1)(2)", "1;2", "--1", "- 1", "*1", "[*a]", "lambda: 1", "1 if 2 else 3", "x", "...",
		"١", "'a'\n 'b'", "('a'\n 'b')", "\\\n1", "1 \\\n", "[1 \\\n]"} {
		if out, err := pysettings.Codec.Set(nil, "X", value); err == nil {
			sources = append(sources, string(out))
		}
	}
	if len(sources) < 20 {
		t.Fatalf("only %d literals were let through", len(sources))
	}
	agree(t, sources)
}
