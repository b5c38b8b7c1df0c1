package oned

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/texttest"
)

// stock returns every stock file of testdata by its path below it.
func stock(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*/*.conf")
	if err != nil || len(paths) < 11 {
		t.Fatalf("found %d stock files, %v", len(paths), err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimPrefix(p, "testdata/")] = b
	}
	return out
}

func flat(t *testing.T, data string) map[string]string {
	t.Helper()
	entries, err := Codec().List([]byte(data))
	if err != nil {
		t.Fatalf("list %q: %v", data, err)
	}
	out := map[string]string{}
	for _, e := range entries {
		out[e.Key] = e.Value
	}
	return out
}

// Every row was run through the parser of OpenNebula 6.10.5.
func TestParseReadsWhatOnedReads(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want map[string]string
	}{
		"quoted":                     {`A = "x y"`, map[string]string{"A": "x y"}},
		"bare word":                  {"A=/var/tmp/one\n", map[string]string{"A": "/var/tmp/one"}},
		"lower case name":            {"mac_prefix = \"02:00\"\n", map[string]string{"MAC_PREFIX": "02:00"}},
		"empty":                      {"A =  \nB = 1\n", map[string]string{"A": "", "B": "1"}},
		"escaped quote":              {`A = "a\"b"`, map[string]string{"A": `a"b`}},
		"backslash n is two bytes":   {`A = "a\nb"`, map[string]string{"A": `a\nb`}},
		"over several lines":         {"A = \"a\n b\"", map[string]string{"A": "a\n b"}},
		"hash in quotes":             {`A = "a # b"`, map[string]string{"A": "a # b"}},
		"bracket in quotes":          {`A = [ B = "KVM [x]" ]`, map[string]string{"A/B": "KVM [x]"}},
		"comment behind a value":     {"A = 1 # c\nB = 2", map[string]string{"A": "1", "B": "2"}},
		"comment in a vector":        {"A = [ B = 1, # c\n # d\n C = 2 # e\n]", map[string]string{"A/B": "1", "A/C": "2"}},
		"comment as a value":         {"A = # text\n", map[string]string{"A": "text"}},
		"two on a line":              {`A = 1 B = 2`, map[string]string{"A": "1", "B": "2"}},
		"curly quotes":               {"A = [ B = “no” ]", map[string]string{"A/B": "“no”"}},
		"single quotes":              {"A = 'x'", map[string]string{"A": "'x'"}},
		"last quote ends the string": {`A = "c:\"`, map[string]string{"A": `c:\`}},
		"first pair wins":            {"A = [ B = 1, B = 2 ]", map[string]string{"A/B": "1"}},
		"repeated names":             {"A = 1\nA = 2", map[string]string{"A[1]": "1", "A[2]": "2"}},
		"vectors by name":            {"M = [ NAME = a, X = 1 ]\nM = [ NAME = b ]", map[string]string{"M[NAME=a]/NAME": "a", "M[NAME=a]/X": "1", "M[NAME=b]/NAME": "b"}},
		"equal on the next line":     {"A\n= 1", map[string]string{"A": "1"}},
		"hashes without newline":     {"A = 1\n####", map[string]string{"A": "1"}},
		"skipped bytes":              {"- A = 1", map[string]string{"A": "1"}},
		"nothing":                    {"", map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, flat(t, tc.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ in, say string }{
		"trailing comma":           {"A = [\n B = 1,\n]\n", "at line 3: comma before the closing bracket of A"},
		"missing comma":            {"A = [ B = 1 C = 2 ]", "unexpected name, expecting ','"},
		"unclosed bracket":         {"A = [ B = 1", "unexpected end of file, expecting ','"},
		"empty vector":             {"A = [ ]", "empty vector"},
		"value on the next line":   {"A = [ B =\n 1 ]", "unexpected '=' at the end of a line"},
		"bracket on next line":     {"A =\n[ B = 1 ]", "expecting name"},
		"comment without newline":  {"A = 1\n# last", "unexpected end of file, expecting '='"},
		"name with a dash":         {"A-B = 1", "unexpected name, expecting '='"},
		"bare word with equal":     {"A = b=c", "unexpected '=', expecting name"},
		"CDATA end":                {`A = "x]]>"`, "gives up"},
		"CDATA end in a vector":    {"A = [ B = 1 ] # ]]>\n", "gives up"},
		"CR LF":                    {"A = \"x\"\r\n", "CR LF"},
		"NUL":                      {"A = \"\x00\"", "NUL"},
		"backslash eats the quote": {"A = \"c:\\\"\nB = \"d\"\n", "unexpected end of file, expecting '='"},
		"no value":                 {"A = ", "unexpected end of file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tc.in))
			if !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), tc.say) {
				t.Errorf("error %q, want one that says %q", err, tc.say)
			}
		})
	}
}

func TestStockFilesParseWithoutFinding(t *testing.T) {
	known := map[string][]string{ // a slip of OpenNebula's own
		"5.8.5/oned.conf": {"line 1312: TM_MAD_SYSTEM stands twice in TM_MAD_CONF, oned uses the first"},
	}
	for name, data := range stock(t) {
		if f, err := Parse(data); err != nil || len(f.Attrs) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, f := range Lint(data) {
			got = append(got, f.String())
		}
		if diff := cmp.Diff(known[name], got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// Law by law, over every value of every stock file.
func TestCodecLaws(t *testing.T) {
	c := Codec()
	for name, data := range stock(t) {
		entries, err := c.List(data)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "oned.conf") {
			entries = append(entries[:15:15], entries[len(entries)-15:]...)
		}
		for _, e := range entries {
			got, ok, err := c.Get(data, e.Key)
			if err != nil || !ok || got != e.Value {
				t.Fatalf("%s: get %s = %q, %v, %v; list says %q", name, e.Key, got, ok, err, e.Value)
			}
			if same, err := c.Set(data, e.Key, e.Value); err != nil || string(same) != string(data) {
				t.Fatalf("%s: setting %s to itself changed the file (%v)", name, e.Key, err)
			}
			if strings.HasSuffix(e.Key, "/NAME") {
				continue
			}
			once, err := c.Set(data, e.Key, `new "value"`)
			if err != nil {
				t.Fatalf("%s: set %s: %v", name, e.Key, err)
			}
			if n := changedLines(data, once); n > 1+strings.Count(e.Value, "\n") {
				t.Errorf("%s: setting %s changed %d lines", name, e.Key, n)
			}
		}
	}
}

// changedLines counts lines between the first and the last one that differ.
func changedLines(a, b []byte) int {
	x, y := strings.SplitAfter(string(a), "\n"), strings.SplitAfter(string(b), "\n")
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	return max(len(x), len(y))
}

func TestSet(t *testing.T) {
	for name, tc := range map[string]struct{ in, key, value, want string }{
		"in place, never appended":     {"MAC_PREFIX   = \"02:00\"\n# end\n", "MAC_PREFIX", "02:a1", "MAC_PREFIX   = \"02:a1\"\n# end\n"},
		"bare word stays bare":         {"PORT = 2633 # c\n", "port", "2634", "PORT = 2634 # c\n"},
		"bare word gets quotes":        {"A=x\n", "A", "x y", "A=\"x y\"\n"},
		"empty gets a value":           {"A =\nB = 1\n", "A", "x", "A = \"x\"\nB = 1\n"},
		"value becomes empty":          {"A = x\n", "A", "", "A = \"\"\n"},
		"first of two":                 {"A = 1\nA = 2\n", "A", "3", "A = 3\nA = 2\n"},
		"second of two":                {"A = 1\nA = 2\n", "A[2]", "3", "A = 1\nA = 3\n"},
		"pair":                         {"DB = [ BACKEND = \"sqlite\",\n       TIMEOUT = 2500 ]\n", "DB/TIMEOUT", "1", "DB = [ BACKEND = \"sqlite\",\n       TIMEOUT = 1 ]\n"},
		"pair of the named vector":     {"M = [ NAME = a, X = 1 ]\nM = [ NAME = b, X = 1 ]\n", "M[NAME=b]/X", "2", "M = [ NAME = a, X = 1 ]\nM = [ NAME = b, X = 2 ]\n"},
		"new pair, same line":          {"A = [ B = 1, C = 2 ]\n", "A/D", "3", "A = [ B = 1, C = 2, D = \"3\" ]\n"},
		"new pair, own line":           {"A = [\n    LONG = \"x\",\n    BC   = \"y\"\n]\n", "A/D", "3", "A = [\n    LONG = \"x\",\n    BC   = \"y\",\n    D    = \"3\"\n]\n"},
		"comma before the comment":     {"A = [\n  B = 1 # c\n]\n", "A/D", "3", "A = [\n  B = 1, # c\n  D = \"3\"\n]\n"},
		"bracket on the last line":     {"A = [ B = 1,\n      C = 2 ]\n", "A/D", "3", "A = [ B = 1,\n      C = 2,\n      D = \"3\" ]\n"},
		"below the commented-out line": {"# x\n# HOSTNAME = \"one\"\nB = 1\n", "HOSTNAME", "c1", "# x\n# HOSTNAME = \"one\"\nHOSTNAME = \"c1\"\nB = 1\n"},
		"not below prose":              {"#  HOSTNAME: of oned\nB = 1\n", "HOSTNAME", "c1", "#  HOSTNAME: of oned\nB = 1\nHOSTNAME = \"c1\"\n"},
		"new vector below its comment": {"#NIC = [ model=\"virtio\" ]\nB = 1\n", "NIC/MODEL", "virtio", "#NIC = [ model=\"virtio\" ]\nNIC = [ MODEL = \"virtio\" ]\nB = 1\n"},
		"at the end of a cut-off file": {"B = 1", "A", "2", "B = 1\nA = \"2\""},
		"quotes in the value":          {"A = x\n", "A", `say "hi"`, "A = \"say \\\"hi\\\"\"\n"},
		"backslash at the end":         {"A = \"x\"\n", "A", `c:\`, "A = c:\\\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Set([]byte(tc.in), tc.key, tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
			if v, ok, err := Codec().Get(got, tc.key); !ok || err != nil || v != tc.value {
				t.Errorf("get after set: %q, %v, %v", v, ok, err)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	const in = "A = 1\nV = [ NAME = a ]\n"
	for name, tc := range map[string]struct{ key, value, say string }{
		"a vector for a value":   {"V", "x", "is a vector"},
		"a value for a vector":   {"A/B", "x", "single value"},
		"a vector of other name": {"V[NAME=b]/X", "x", "no such key"},
		"no name":                {"=", "x", "no name"},
		"bad selector":           {"V[x]/NAME", "x", "neither a number"},
		"open selector":          {"V[1/NAME", "x", "no closing bracket"},
		"no pair":                {"V/", "x", "no /PAIR"},
		"CDATA end":              {"A", "x]]>", "gives up"},
		"NUL":                    {"A", "\x00", "NUL"},
		"the name of a vector":   {"V[NAME=a]/NAME", "b", "tells this V"},
		"backslash and blank":    {"A", `a b\`, "backslash"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Set([]byte(in), tc.key, tc.value); err == nil || !strings.Contains(err.Error(), tc.say) || got != nil {
				t.Errorf("%q, error %v, want one that says %q", got, err, tc.say)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	for name, tc := range map[string]struct{ in, key, want string }{
		"a line":                 {"A = 1\nB = 2\n", "A", "B = 2\n"},
		"all of the name":        {"A = 1\nB = 2\nA = 3\n", "A", "B = 2\n"},
		"one of the name":        {"A = 1\nA = 2\nA = 3\n", "A[2]", "A = 1\nA = 3\n"},
		"keeps the comment":      {"A = 1 # why\nB = 2\n", "A", "# why\nB = 2\n"},
		"one of two on a line":   {"A = 1 B = 2\n", "A", "B = 2\n"},
		"first pair":             {"A = [ B = 1, C = 2 ]\n", "A/B", "A = [ C = 2 ]\n"},
		"last pair":              {"A = [\n  B = 1, # b\n  C = 2\n]\n", "A/C", "A = [\n  B = 1 # b\n]\n"},
		"pair on its line":       {"A = [\n  B = 1,\n  C = 2\n]\n", "A/B", "A = [\n  C = 2\n]\n"},
		"only pair, with vector": {"A = [ B = 1 ]\nC = 1\n", "A/B", "C = 1\n"},
		"vector":                 {"A = [\n B = 1\n]\nC = 1\n", "A", "C = 1\n"},
		"absent":                 {"A = 1\n", "B", "A = 1\n"},
		"both pairs of a name":   {"A = [ B = 1, B = 2, C = 3 ]\n", "A/B", "A = [ C = 3 ]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Delete([]byte(tc.in), tc.key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAdd(t *testing.T) {
	vec := Attr{Name: "TM_MAD_CONF", Vector: true, Pairs: []Pair{{Name: "NAME", Value: "vitastor"}, {Name: "SHARED", Value: "YES"}}}
	for name, tc := range map[string]struct {
		in   string
		add  Attr
		want string
	}{
		"behind its namesakes, lined up": {"I_ATTR  = \"A\" # c\nB = 1\n", Attr{Name: "I_ATTR", Value: "C"}, "I_ATTR  = \"A\" # c\nI_ATTR  = \"C\"\nB = 1\n"},
		"there already":                  {"I_ATTR = C\n", Attr{Name: "i_attr", Value: "C"}, "I_ATTR = C\n"},
		"vector behind its namesakes": {"TM_MAD_CONF = [ NAME = a ]\nB = 1\n", vec,
			"TM_MAD_CONF = [ NAME = a ]\n\nTM_MAD_CONF = [\n    NAME = \"vitastor\",\n    SHARED = \"YES\"\n]\nB = 1\n"},
		"vector of that name is there": {"TM_MAD_CONF = [ NAME = vitastor ]\n", vec, "TM_MAD_CONF = [ NAME = vitastor ]\n"},
		"namesake in mid-line":         {"I_ATTR = A B = 1\n", Attr{Name: "I_ATTR", Value: "C"}, "I_ATTR = A B = 1\nI_ATTR = \"C\"\n"},
		"first of its name":            {"B = 1\n", vec, "B = 1\nTM_MAD_CONF = [\n    NAME = \"vitastor\",\n    SHARED = \"YES\"\n]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Add([]byte(tc.in), tc.add)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
			again, err := Add(got, tc.add)
			if err != nil || string(again) != string(got) {
				t.Errorf("adding twice: %v\n%s", err, again)
			}
		})
	}
	if _, err := Add(nil, Attr{Name: "A", Vector: true}); err == nil {
		t.Error("an empty vector was written")
	}
	if _, err := Add(nil, Attr{Name: "A B", Value: "x"}); err == nil {
		t.Error("a name with a blank was written")
	}
}

func TestAddWord(t *testing.T) {
	for name, tc := range map[string]struct{ args, option, want string }{
		"at the end":        {"-t 15 -d a,b -s c", "-d", "-t 15 -d a,b,w -s c"},
		"there":             {"-t 15 -d a,w,b", "-d", "-t 15 -d a,w,b"},
		"glued":             {"-da,b", "-d", "-da,b,w"},
		"long form":         {"--tm-types=a --threads 1", "-d", "--tm-types=a,w --threads 1"},
		"long form, apart":  {"--system-ds-types a", "-s", "--system-ds-types a,w"},
		"the last one wins": {"-d a -d b", "-d", "-d a -d b,w"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AddWord([]byte(`A = "`+tc.args+`"`), "A", tc.option, "w")
			if err != nil || string(got) != `A = "`+tc.want+`"` {
				t.Errorf("%s, %v, want %s", got, err, tc.want)
			}
		})
	}
	for _, args := range []string{"-t 15", "-d -s x", ""} {
		if _, err := AddWord([]byte(`A = "`+args+`"`), "A", "-d", "w"); !errors.Is(err, text.ErrNoKey) {
			t.Errorf("%q: error %v, want ErrNoKey", args, err)
		}
	}
}

func TestAddOverride(t *testing.T) {
	for name, tc := range map[string]struct{ args, want string }{
		"new":    {"-t 15 -r 0 kvm -p ", "-t 15 -r 0 kvm -p -l deploy=deploy.vitastor"},
		"merged": {"-l migrate,save=x kvm", "-l migrate,save=x,deploy=deploy.vitastor kvm"},
		"there":  {"-l deploy=deploy.vitastor kvm", "-l deploy=deploy.vitastor kvm"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AddOverride([]byte(`V = [ ARGUMENTS = "`+tc.args+`" ]`), "V", "deploy", "deploy.vitastor")
			if want := `V = [ ARGUMENTS = "` + tc.want + `" ]`; err != nil || string(got) != want {
				t.Errorf("%s, %v, want %s", got, err, want)
			}
		})
	}
	for _, args := range []string{"-l deploy=mine", "-l deploy"} {
		if _, err := AddOverride([]byte(`V = [ ARGUMENTS = "`+args+`" ]`), "V", "deploy", "x"); !errors.Is(err, ErrOverridden) {
			t.Errorf("%q: error %v, want ErrOverridden", args, err)
		}
	}
}

func TestLint(t *testing.T) {
	for name, tc := range map[string]struct{ in, say string }{
		"appended MAC_PREFIX":      {"MAC_PREFIX = \"02:00\"\nMAC_PREFIX = \"02:99\"\n", "line 2: MAC_PREFIX has no effect, oned uses the one at line 1"},
		"second DB":                {"DB = [ A = 1 ]\nDB = [ A = 2 ]\n", "line 2: DB has no effect"},
		"driver twice":             {"TM_MAD_CONF = [ NAME = a ]\nTM_MAD_CONF = [ NAME = a ]\n", `line 2: TM_MAD_CONF "a" stands at line 1`},
		"pair twice":               {"DB = [ A = 1,\n A = 2 ]\n", "line 2: A stands twice in DB"},
		"curly quotes":             {"F = [ PAE = “no” ]\n", "line 1: F/PAE: curly quotes"},
		"single quotes":            {"F = 'x'\n", "single quotes"},
		"quote that does not end":  {"F = \"x\n", "double quotes"},
		"comment as a value":       {"A = # text\n", "is no comment"},
		"skipped bytes":            {"A = 1\n; B = 2\n", `line 2: oned skips ";"`},
		"trailing comma":           {"A = [ B = 1, ]\n", "comma before the closing bracket"},
		"multicast prefix":         {"MAC_PREFIX = \"03:00\"\n", "multicast"},
		"vendor prefix":            {"MAC_PREFIX = \"00:16\"\n", "locally administered"},
		"prefix of another length": {"MAC_PREFIX = \"02:00:00\"\n", "two octets"},
	} {
		t.Run(name, func(t *testing.T) {
			all := Lint([]byte(tc.in))
			if len(all) != 1 || !strings.Contains(all[0].String(), tc.say) {
				t.Errorf("%v, want one that says %q", all, tc.say)
			}
		})
	}
}

func TestLaws(t *testing.T) {
	samples := []string{"A = 1 # c\nB = [ C = \"x\", D = y ]\nE =\n", "A = 1\nA = 2\nM = [ NAME = a, X = 1 ]\nM = [ NAME = b, X = 2 ]", ""}
	for name, data := range stock(t) {
		if len(data) < 10_000 || name == "5.8.5/oned.conf" {
			samples = append(samples, string(data))
		}
	}
	texttest.Laws(t, Codec(), samples...)
}

func FuzzLaws(f *testing.F) {
	texttest.FuzzLaws(f, Codec(), append(small(f), "A = 1 # c\nB = [ C = \"x\", D = y ]\nE =\n", "A = 1\nA = 2\nM = [ NAME = a, X = 1 ]\nM = [ NAME = b, X = 2 ]")...)
}

// small returns the stock files but oned.conf, whose size would slow a fuzzer down; TestStockFiles has it.
func small(f *testing.F) []string {
	f.Helper()
	var out []string
	for name, data := range stock(f) {
		if filepath.Base(name) != "oned.conf" {
			out = append(out, string(data))
		}
	}
	return out
}

func FuzzSetAndRead(f *testing.F) {
	for _, s := range []string{"A = 1\n", "A = [ B = \"x\", # c\n C = 2 ]", "A =\n#A = 1\n", "A = # t\n", "A=\"\\\"\"B=2", "A = \"a b\"B = 1\nA = [ NAME = x ]"} {
		f.Add(s, "A", "v")
		f.Add(s, "A/B", "a \"b\"")
		f.Add(s, "X[NAME=x]/Y", "\\")
	}
	for _, s := range small(f) {
		f.Add(s, "NETWORK/MONITOR_ADDRESS", "192.0.2.1")
		f.Add(s, "DISK/IO", "native")
	}
	f.Fuzz(func(t *testing.T, in, key, value string) {
		c := Codec()
		before, err := c.List([]byte(in))
		if err != nil {
			return
		}
		for _, e := range before {
			if got, ok, err := c.Get([]byte(in), e.Key); !ok || err != nil || got != e.Value {
				t.Fatalf("get %q of %q: %q %v %v, list says %q", e.Key, in, got, ok, err, e.Value)
			}
		}
		out, err := c.Set([]byte(in), key, value)
		if err != nil {
			return
		}
		if got, ok, err := c.Get(out, key); !ok || err != nil || got != value {
			t.Fatalf("set %q in %q gives %q; get %q %v %v", key, in, out, got, ok, err)
		}
		if again, err := c.Set(out, key, value); err != nil || string(again) != string(out) {
			t.Fatalf("set again: %q, %v", again, err)
		}
		gone, err := Delete(out, key)
		if err != nil {
			return
		}
		if _, ok, err := c.Get(gone, key); err == nil && ok && !strings.Contains(key, "[") {
			t.Fatalf("delete %q of %q gives %q, and it is there", key, out, gone)
		}
	})
}
