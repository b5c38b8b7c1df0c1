package pysettings_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text/pysettings"
)

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

func TestReplacedLiteralsStayApart(t *testing.T) {
	for _, in := range []string{"X = 'a''b'\n", "X = ['a''b''c']\n", "X = 'a'\"b\"\n", "X = 'a''''b'''\n"} {
		for _, value := range []string{"", "x", "'"} {
			if out, err := pysettings.MapStrings([]byte(in), func(pysettings.Literal) string { return value }); err != nil {
				t.Errorf("%q with %q: %q, %v", in, value, out, err)
			}
			found, err := pysettings.Strings([]byte(in))
			if err != nil {
				t.Fatal(err)
			}
			if out, err := pysettings.ReplaceLiteral([]byte(in), found[0], value); err != nil {
				t.Errorf("%q with %q: %q, %v", in, value, out, err)
			}
		}
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
