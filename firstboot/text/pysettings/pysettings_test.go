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
		{"from m import B as A", true}, {"with B as A: pass", true}, {"del A", true}, {"def A(): pass", true}, {"class A: pass", true},
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

func TestGetString(t *testing.T) {
	for _, tc := range []struct{ name, right, want string }{
		{"single quotes", `'a"b'`, `a"b`},
		{"double quotes", `"it's"`, "it's"},
		{"joined", `'a' "b"`, "ab"},
		{"in parentheses", "(\n 'a' # c\n 'b')", "ab"},
		{"raw", `r'\d\'x'`, `\d\'x`},
		{"unicode prefix", `U'x'`, "x"},
		{"text", "'''\n'x' \\\ny'''", "\n'x' y"},
		{"escapes", `'\\\'\"\a\b\f\n\r\t\v\0\101\x41\u0416\U0001f600\q'`, "\\'\"\a\b\f\n\r\t\v\x00AAЖ😀\\q"},
		{"empty", `""`, ""},
		{"text of nothing", `""""""`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok, err := pysettings.GetString([]byte("X = "+tc.right+"\n"), "X")
			if err != nil || !ok || got != tc.want {
				t.Errorf("got %q, %v, %v; want %q", got, ok, err, tc.want)
			}
		})
	}
}

func TestGetStringRefuses(t *testing.T) {
	for _, right := range []string{"1", "['a']", "'a' % b", "'a',", "()", "(('a')", "b'a'", "f'a'", `'\N{DASH}'`, `'\ud800'`, "None"} {
		if got, _, err := pysettings.GetString([]byte("X = "+right+"\n"), "X"); err == nil {
			t.Errorf("%s is taken for the string %q", right, got)
		}
	}
	if got, ok, err := pysettings.GetString([]byte("Y = 1\n"), "X"); got != "" || ok || err != nil {
		t.Errorf("absent: %q, %v, %v", got, ok, err)
	}
}

func TestSetString(t *testing.T) {
	for _, tc := range []struct{ name, in, value, want string }{
		{"double quotes stay", "X = \"a\" # c\n", "b", "X = \"b\" # c\n"},
		{"prefix stays", "X = u'a'\n", "b", "X = u'b'\n"},
		{"escapes", "X = 'a'\n", "it's\\\n\t\x01é", "X = 'it\\'s\\\\\\n\\t\\x01é'\n"},
		{"raw stays", `X = r'\d'`, `\w`, `X = r'\w'`},
		{"raw goes where it cannot be", `X = r'\d'`, `\`, `X = '\\'`},
		{"joined becomes one", "X = ('a'\n   'b')\n", "c", "X = ('c')\n"},
		{"joined that is the same stays", "X = ('a'\n   'b')\n", "ab", "X = ('a'\n   'b')\n"},
		{"text", "X = '''a\r\nb'''\r\n", "c\nd'", "X = '''c\r\nd\\''''\r\n"},
		{"added", "Y = 1\n", "b", "Y = 1\nX = 'b'\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := pysettings.SetString([]byte(tc.in), "X", tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if back, ok, err := pysettings.GetString(got, "X"); err != nil || !ok || back != tc.value {
				t.Errorf("reads back as %q, %v, %v", back, ok, err)
			}
		})
	}
}

func TestSetStringRefuses(t *testing.T) {
	for _, tc := range []struct{ in, value string }{{"X = 1\n", "a"}, {"X = f('a')\n", "b"}, {"X = 'a'\n", "\xff"}, {"X += 'a'\n", "b"}} {
		if got, err := pysettings.SetString([]byte(tc.in), "X", tc.value); err == nil {
			t.Errorf("%q was accepted: %q", tc.in, got)
		}
	}
}

func TestSetStrings(t *testing.T) {
	for _, tc := range []struct{ name, in, values, want string }{
		{"one in place", "X = ['a', \"b\", 'c', ]\n", "a x c", "X = ['a', \"x\", 'c', ]\n"},
		{"more on one line", "X = ['a']\n", "a b c", "X = ['a', 'b', 'c']\n"},
		{"more behind a comma", "X = [\"*\", ]\n", "* b", "X = [\"*\", \"b\", ]\n"},
		{"fewer on one line", "X = [ 'a', 'b', 'c' ]\n", "x", "X = [ 'x' ]\n"},
		{"fewer with a comma", "X = ['a', 'b',]\n", "a", "X = ['a',]\n"},
		{"none", "X = ['a', 'b', ]\n", "", "X = [ ]\n"},
		{"none and then some", "X = [ ]\n", "a b", "X = ['a', 'b' ]\n"},
		{"tuple", "X = ('a', 'b')\n", "a", "X = ('a',)\n"},
		{"tuple of one grows", "X = ('a',)\n", "a b", "X = ('a', 'b',)\n"},
		{"empty tuple", "X = ()\n", "a", "X = ('a',)\n"},
		{"set", "X = {'a'}\n", "b c", "X = {'b', 'c'}\n"},
		{"line by line", "X = [\n  'a',  # first\n  'b',  # second\n]\n", "a y z", "X = [\n  'a',  # first\n  'y',  # second\n  'z',\n]\n"},
		{"line by line without a last comma", "X = [\n  'a',\n  'b'  # second\n]\n", "a b c", "X = [\n  'a',\n  'b',  # second\n  'c'\n]\n"},
		{"line by line, fewer", "X = [\n  'a',  # first\n  'b',  # second\n]\n", "a", "X = [\n  'a',  # first\n]\n"},
		{"bracket behind the last", "X = [\n  'a',\n  'b']\n", "a b c", "X = [\n  'a',\n  'b',\n  'c']\n"},
		{"aligned behind the bracket", "X = ['a',\n     'b']\n", "a b c", "X = ['a',\n     'b', 'c']\n"},
		{"CRLF", "X = [\r\n  'a',\r\n]\r\n", "a b", "X = [\r\n  'a',\r\n  'b',\r\n]\r\n"},
		{"unchanged", "X = [ 'a' ,'b']\n", "a b", "X = [ 'a' ,'b']\n"},
		{"added", "Y = 1\n", "a b", "Y = 1\nX = ['a', 'b']\n"},
		{"added empty", "Y = 1\n", "", "Y = 1\nX = []\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			values := strings.Fields(tc.values)
			got, err := pysettings.SetStrings([]byte(tc.in), "X", values)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if back, _, err := pysettings.GetStrings(got, "X"); err != nil || strings.Join(back, " ") != tc.values {
				t.Errorf("reads back as %q, %v", back, err)
			}
		})
	}
}

func TestStringsRefuses(t *testing.T) {
	for _, right := range []string{"'a'", "('a')", "{}", "{'a': 'b'}", "['a', 1]", "['a'] + b", "[['a']]", "['a' if b else 'c']", "[b'a']", "1"} {
		in := []byte("X = " + right + "\n")
		if got, _, err := pysettings.GetStrings(in, "X"); err == nil {
			t.Errorf("%s is taken for the strings %q", right, got)
		}
		if got, err := pysettings.SetStrings(in, "X", []string{"b"}); err == nil {
			t.Errorf("%s was replaced: %q", right, got)
		}
	}
	if got, err := pysettings.SetStrings([]byte("X = {'a'}\n"), "X", nil); err == nil {
		t.Errorf("a set became a dict: %q", got)
	}
}

func TestStrings(t *testing.T) {
	found, err := pysettings.Strings([]byte(dialect))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range found {
		got = append(got, l.Name+"="+l.Value)
		if written := dialect[l.Span.From:l.Span.To]; !strings.ContainsAny(written[:1], `'"ru`) {
			t.Errorf("line %d: %q is no literal", l.Line, written)
		}
	}
	want := []string{"HOST=10.0.0.1", "URL=http://%s:5000/v3", "TEXT=\nHOST = 'in a text'\n", "HOST=10.0.0.2", "TYPED=typed", "B=two", "C=x", "C=y",
		"D=HOST", "D=unindented dict body", "D=x", "LONG=a", "LONG=b", "SPREAD=c", "SPREAD=d", `D["sub"]=subscript`, "os.HOST=attribute", "P=chained",
		"M, N=m", "M, N=n", "LATER=x", "LATER=y", "GUESS=a", "FIXED=a", "FIXED=c", `RAW=\d+`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAddressesInPackstacksSettings(t *testing.T) {
	in := sample(t, "packstack_local_settings")
	out, err := pysettings.MapStrings([]byte(in), func(l pysettings.Literal) string {
		return strings.ReplaceAll(l.Value, "10.77.237.155", "10.77.0.9")
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(in, "10.77.237.155", "10.77.0.9"), string(out)); diff != "" {
		t.Error(diff)
	}
	value, _, err := pysettings.Codec.Get(out, "CACHES")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := pysettings.Codec.Set([]byte(in), "CACHES", value); err != nil || !strings.Contains(string(again), "'10.77.0.9:11211'") {
		t.Errorf("the mapped source cannot be set as the value of CACHES: %v", err)
	}
}

func TestReplaceLiteral(t *testing.T) {
	in := []byte("X = {'a': \"10.0.0.1\"}\n")
	found, err := pysettings.Strings(in)
	if err != nil || len(found) != 2 {
		t.Fatal(found, err)
	}
	out, err := pysettings.ReplaceLiteral(in, found[1], `"10.0.0.9"`)
	if err != nil || string(out) != "X = {'a': \"\\\"10.0.0.9\\\"\"}\n" {
		t.Fatalf("%q, %v", out, err)
	}
	if _, err := pysettings.ReplaceLiteral(out, found[1], "again"); err == nil {
		t.Error("a literal that is not there any more was replaced")
	}
}

func TestDebianSettings(t *testing.T) {
	in := []byte(sample(t, "debian12_local_settings.py"))
	hosts, _, err := pysettings.GetStrings(in, "ALLOWED_HOSTS")
	if diff := cmp.Diff([]string{"10.77.0.162", "openstack-golden", "localhost"}, hosts); err != nil || diff != "" {
		t.Error(err, diff)
	}
	out, err := pysettings.SetStrings(in, "ALLOWED_HOSTS", []string{"10.77.0.9", "clone1", "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	if out, err = pysettings.SetString(out, "OPENSTACK_HOST", "10.77.0.9"); err != nil {
		t.Fatal(err)
	}
	r := strings.NewReplacer("\nALLOWED_HOSTS = ['10.77.0.162', 'openstack-golden',", "\nALLOWED_HOSTS = ['10.77.0.9', 'clone1',", `HOST = "10.77.0.162"`, `HOST = "10.77.0.9"`)
	if diff := cmp.Diff(r.Replace(string(in)), string(out)); diff != "" {
		t.Error(diff)
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

// FuzzStrings: what is written into any literal, string or list reads back, and nothing else changes.
func FuzzStrings(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s, "C", "x", 3)
	}
	f.Add("X = [\n 'a',\n]\n", "X", "it's\n", 0)
	f.Add("X = r'''a'''\n", "X", `\`, 0)
	f.Fuzz(func(t *testing.T, data, name, value string, n int) {
		in := []byte(data)
		found, err := pysettings.Strings(in)
		if err != nil {
			return
		}
		if n >= 0 && n < len(found) {
			checkReplace(t, in, found, n, value)
		}
		if out, err := pysettings.SetString(in, name, value); err == nil {
			if got, ok, err := pysettings.GetString(out, name); err != nil || !ok || got != value {
				t.Errorf("string %q reads back as %q, %v, %v\nfrom %q\nto   %q", value, got, ok, err, data, out)
			}
		}
		values := strings.Split(value, ",")
		if out, err := pysettings.SetStrings(in, name, values); err == nil {
			if got, _, err := pysettings.GetStrings(out, name); err != nil || !cmp.Equal(got, values) {
				t.Errorf("strings %q read back as %q, %v\nfrom %q\nto   %q", values, got, err, data, out)
			}
		}
	})
}

func checkReplace(t *testing.T, in []byte, found []pysettings.Literal, n int, value string) {
	t.Helper()
	out, err := pysettings.ReplaceLiteral(in, found[n], value)
	if err != nil {
		return
	}
	is, err := pysettings.Strings(out)
	if err != nil || len(is) != len(found) {
		t.Fatalf("%d strings became %d: %v\nfrom %q\nto   %q", len(found), len(is), err, in, out)
	}
	for i, l := range is {
		if want := found[i].Value; i != n && l.Value != want || i == n && l.Value != value {
			t.Errorf("string %d of %d reads %q\nfrom %q\nto   %q", i, len(is), l.Value, in, out)
		}
	}
}
