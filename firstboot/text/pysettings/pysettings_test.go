package pysettings_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/pysettings"
	"goldsmith/firstboot/text/texttest"
)

// dialect shows every rule of the reader once.
const dialect = `"""Docstring with
HOST = 'docstring'
"""
# HOST = 'comment'
import os, sys
HOST = "10.0.0.1"  # HOST = 'behind'
URL = "http://%s:5000/v3" % HOST
TEXT = '''
HOST = 'in a text'
'''
if DEBUG:
    HOST = 'indented before'
HOST='10.0.0.2'
TYPED: str = u'typed'
A = 1; B = 'two'; C = [ 'x',
    'y' ]
D = {
'HOST': 'unindented dict body',
HOST: "x",
}
def f(HOST='default'):
    LOCAL = 'local'
    return HOST == 'x'
class K: HOST = 'class'
LONG = 'a' \
    "b"
SPREAD = (
    'c'   # comment with 'quotes'
    'd'
)
D["sub"] = 'subscript'
os.HOST = 'attribute'
f(HOST='argument')
P = Q = 'chained'
M, N = 'm', 'n'
LATER = 'x'
LATER += 'y'
GUESS = 'a'
try:
    GUESS = 'b'
except ImportError: pass
FIXED = 'a'
if A: FIXED = 'b'
FIXED = 'c'
RAW = r'\d+'
BYTES = b'bytes'
FORMAT = f"{HOST}"
Größe = 5
EMPTY = ()
`

func sample(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestGet(t *testing.T) {
	for _, tc := range []struct{ name, key, want string }{
		{"the last assignment", "HOST", "'10.0.0.2'"},
		{"an expression", "URL", `"http://%s:5000/v3" % HOST`},
		{"several lines of text", "TEXT", "'''\nHOST = 'in a text'\n'''"},
		{"with a type", "TYPED", "u'typed'"},
		{"one of several on a line", "A", "1"},
		{"a second statement on a line", "B", "'two'"},
		{"a list over two lines", "C", "[ 'x',\n    'y' ]"},
		{"a dict", "D", "{\n'HOST': 'unindented dict body',\nHOST: \"x\",\n}"},
		{"continued by a backslash", "LONG", "'a' \\\n    \"b\""},
		{"a block before the last assignment", "FIXED", "'c'"},
		{"a name beyond ASCII", "Größe", "5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok, err := pysettings.Codec.Get([]byte(dialect), tc.key); err != nil || !ok || got != tc.want {
				t.Errorf("%s = %q, %v, %v; want %q", tc.key, got, ok, err, tc.want)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	for _, key := range []string{"LOCAL", "x", "sys", "f", "K", "DEBUG"} {
		if got, ok, err := pysettings.Codec.Get([]byte(dialect), key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want absent", key, got, ok, err)
		}
	}
}

func TestDoubtfulNames(t *testing.T) {
	for _, tc := range []struct{ key, want string }{
		{"P", "line 34: cannot read P: line 34 sets it together with others"},
		{"Q", "together with others"},
		{"M", "together with others"},
		{"N", "together with others"},
		{"LATER", "cannot read LATER: line 37 adds to it"},
		{"GUESS", "line 40 may give it another value"},
		{"if", "no name of Python"},
		{"a b", "no name of Python"},
		{"2nd", "no name of Python"},
		{"", "no name of Python"},
	} {
		if _, _, err := pysettings.Codec.Get([]byte(dialect), tc.key); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: want an error with %q, got %v", tc.key, tc.want, err)
		}
		if out, err := pysettings.Codec.Set([]byte(dialect), tc.key, "1"); err == nil {
			t.Errorf("%s was set: %q", tc.key, out)
		}
	}
}

func TestNamesThatSomethingElseBindsLater(t *testing.T) {
	for _, tc := range []struct {
		behind string
		bound  bool
	}{
		{"for A in B: pass", true}, {"for B, A in C:\n    pass", true}, {"from m import A", true}, {"from m import (B,\n  A)", true}, {"import B, A", true},
		{"from m import B as A", true}, {"pass; del A", true}, {"import B; A = 2", false}, {"with B as A: pass", true}, {"del A", true}, {"def A(): pass", true}, {"class A: pass", true},
		{"if B:\n  for A in C: pass", true}, {"try: A, B = C\nexcept: pass", true}, {"if B: A += 1", true},
		{"for B in A: pass", false}, {"from A import B", false}, {"with A as B: pass", false}, {"def B(A=1): A = 2", false}, {"class B(A):\n  A = 2", false},
		{"if A: B = 1", false}, {"assert A, 'x'", false}, {"if B == A: pass", false}, {"print(A)", false}, {"from m import *", false}, {"@A\ndef f():\n  A = 1", false},
	} {
		_, _, err := pysettings.Codec.Get([]byte("A = 1\n"+tc.behind+"\n"), "A")
		if (err != nil) != tc.bound {
			t.Errorf("behind %q: %v", tc.behind, err)
		}
		if _, ok, err := pysettings.Codec.Get([]byte(tc.behind+"\nA = 1\n"), "A"); !ok || err != nil {
			t.Errorf("in front, %q: %v", tc.behind, err)
		}
	}
}

func TestAssignmentBehindASemicolon(t *testing.T) {
	for _, in := range []string{"import os; A = 1", "pass; A = 1; B = A", "del A; A = 1", "lambda: 0; A = 1\n"} {
		if got, ok, err := pysettings.Codec.Get([]byte(in), "A"); got != "1" || !ok || err != nil {
			t.Errorf("%q: %q, %v, %v", in, got, ok, err)
		}
	}
	if got, ok, err := pysettings.Codec.Get([]byte("if B: pass; A = 1\n"), "A"); ok || err != nil {
		t.Errorf("in the block of an if: %q, %v", got, err)
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"comment and spacing stay", "A =  1 # one\nB = 2\n", "A", "'x'", "A =  'x' # one\nB = 2\n"},
		{"the last one only", "A = 1\nA = 2\n", "A", "3", "A = 1\nA = 3\n"},
		{"an expression becomes a literal", "A = f(\n  1)\n", "A", "[True, None, -1.5]", "A = [True, None, -1.5]\n"},
		{"one of several on a line", "A = 1; B = 2\n", "A", "3", "A = 3; B = 2\n"},
		{"an expression with another string", "A = f('a') if B else 'b'\n", "A", "f('x') if B else 'b'", "A = f('x') if B else 'b'\n"},
		{"CRLF", "A = 1\r\nB = 2\r\n", "A", "[\n  1,\n]", "A = [\r\n  1,\r\n]\r\nB = 2\r\n"},
		{"byte order mark", "\ufeffA = 1\n", "A", "2", "\ufeffA = 2\n"},
		{"added", "A = 1", "B", "{'k': ('v',)}", "A = 1\nB = {'k': ('v',)}"},
		{"added behind a block", "if A:\n    B = 1\n", "B", "2", "if A:\n    B = 1\nB = 2\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := pysettings.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSetRefusesWhatIsNoLiteral(t *testing.T) {
	for _, value := range []string{"", "10.0.0.1", "two words", "'a", "a'", "'a' 'b", "f('a')", "g('a') % B", "1; B = 2", "1\nB = 2", "'a' # c",
		" 'a'", "['a' 1]", "[,]", "['a',,]", "{'a': 1, 'b'}", "{'a', 'b': 1}", "{[]: 1}", "(1", "1)", "'\\x4'", "b'a'", "f'{A}'", "007", "1 = 2", "-'a'",
		"'a'\\\n", strings.Repeat("[", 99) + strings.Repeat("]", 99), "\ufeff1", "[-]"} {
		for _, in := range []string{"A = f('a') % B\nC = 1\n", "C = 1\n"} {
			if out, err := pysettings.Codec.Set([]byte(in), "A", value); err == nil {
				t.Errorf("%q was accepted: %q", value, out)
			}
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"string never closed", "A = 1\nB = 'x\n", "line 2: a string that is never closed"},
		{"text never closed", "A = '''x\n\n", "line 1: a string that is never closed"},
		{"bracket never closed", "A = [1\n\n", "a bracket is never closed"},
		{"wrong bracket", "A = [1)\n", "line 1: a bracket that closes nothing"},
		{"backslash before a blank", "A = 1 \\ \n2", "line 1: a backslash that continues nothing"},
		{"backslash at the end", "A = 1 \\\n", "a backslash that continues nothing"},
		{"backslash on an empty line", "\\\nA = 1\n", "line 1: a backslash that continues nothing"},
		{"no character of Python", "A = 1\nB = $x\n", "line 2: a character that stands for nothing"},
		{"typographic quotes", "A = “x”\n", "line 1: a character that stands for nothing"},
		{"bare carriage return", "A = 1\rB = 2\n", "line 1: a carriage return"},
		{"NUL", "A = '\x00'\n", "NUL"},
		{"not UTF-8", "A = '\xe4'\n", "line 1: not UTF-8"},
		{"bad escape", "A = '\\u12'\n", "line 1: an escape that Python refuses"},
		{"f-string that depends on the version", "A = f\"{B[\"x\"]}\"\n", "line 1: an f-string"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := pysettings.Codec.List([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestMissingNameIsAdded(t *testing.T) {
	if _, err := pysettings.Codec.Set([]byte("A = 1\n"), "B", "two words"); err == nil || errors.Is(err, text.ErrNoKey) {
		t.Errorf("got %v", err)
	}
}

func samples(t testing.TB) []string {
	return []string{"", "A = 1", dialect, strings.ReplaceAll(dialect, "\n", "\r\n"),
		sample(t, "debian12_local_settings.py"), sample(t, "packstack_local_settings")}
}

func TestLaws(t *testing.T) { texttest.Laws(t, pysettings.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, pysettings.Codec, samples(f)...) }
