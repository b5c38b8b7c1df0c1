package pyconf

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kinds lists the faults of data, as "kind@line".
func kinds(f *File) []string {
	var out []string
	for _, x := range f.Faults {
		out = append(out, string(x.Kind)+"@"+string(rune('0'+x.Line)))
	}
	return out
}

// values lists what data says, as "section/key=value".
func values(f *File) []string {
	var out []string
	for _, s := range f.Settings {
		if !s.Dup {
			out = append(out, s.Section+"/"+s.Key+"="+s.Value)
		}
	}
	return out
}

func TestParseReadsAsPythonDoes(t *testing.T) {
	for name, c := range map[string]struct {
		data   string
		values []string
		faults []string
	}{
		"plain":                           {data: "[g]\nA=1\nB=2\n", values: []string{"g/a=1", "g/b=2"}},
		"blanks round the delimiter":      {data: "[g]\nA = 1 \n", values: []string{"g/a=1"}},
		"colon":                           {data: "[g]\nA: 1\n", values: []string{"g/a=1"}},
		"first delimiter wins":            {data: "[g]\nA:b=c\nB=c:d\n", values: []string{"g/a=b=c", "g/b=c:d"}},
		"quotes stay":                     {data: "[g]\nA=\"n\"\n", values: []string{`g/a="n"`}},
		"inline comment stays":            {data: "[g]\nA=n # c ; d\n", values: []string{"g/a=n # c ; d"}},
		"comments":                        {data: "# a\n[g]\n; b\n  # c\nA=1\n", values: []string{"g/a=1"}},
		"percent and dollar":              {data: "[g]\nA=%(x)s $y\n", values: []string{"g/a=%(x)s $y"}},
		"empty value":                     {data: "[g]\nA=\n", values: []string{"g/a="}},
		"crlf":                            {data: "[g]\r\nA=1\r\n", values: []string{"g/a=1"}},
		"lone cr ends a line":             {data: "[g]\n# x\rA=1\n", values: []string{"g/a=1"}},
		"no last newline":                 {data: "[g]\nA=1", values: []string{"g/a=1"}},
		"indented key is swallowed":       {data: "[g]\nA=1\n  B=2\n", values: []string{"g/a=1\nB=2"}},
		"swallowed across blanks":         {data: "[g]\nA=1\n\n# c\n  B=2\n", values: []string{"g/a=1\n\nB=2"}},
		"trailing blanks are no value":    {data: "[g]\nA=1\n\n\nB=2\n", values: []string{"g/a=1", "g/b=2"}},
		"indented header is swallowed":    {data: "[g]\nA=1\n [h]\n", values: []string{"g/a=1\n[h]"}},
		"first key may be indented":       {data: "[g]\n  A=1\n  B=2\n", values: []string{"g/a=1", "g/b=2"}},
		"deeper than the first is a line": {data: "[g]\n A=1\n  B=2\n", values: []string{"g/a=1\nB=2"}},
		"junk behind a header":            {data: "[g] # c\nA=1\n", values: []string{"g/a=1"}},
		"two sections":                    {data: "[g]\nA=1\n[h]\nA=2\n", values: []string{"g/a=1", "h/a=2"}},
		"default may stand twice":         {data: "[DEFAULT]\nA=1\n[DEFAULT]\nB=2\n", values: []string{"DEFAULT/a=1", "DEFAULT/b=2"}},
		"nul":                             {data: "# \x00\n[g]\nA=1\n", values: []string{"g/a=1"}},

		"byte order mark":        {data: "\ufeff[g]\nA=1\n", values: []string{"g/a=1"}, faults: []string{"bom@1"}},
		"no header":              {data: "A=1\n", values: []string{"/a=1"}, faults: []string{"no-header@1"}},
		"key before the header":  {data: "A=1\n[g]\nB=2\n", values: []string{"/a=1", "g/b=2"}, faults: []string{"no-header@1"}},
		"no delimiter":           {data: "[g]\nA\nB=2\n", values: []string{"g/b=2"}, faults: []string{"bad-line@2"}},
		"empty header":           {data: "[g]\nA=1\n[]\n", values: []string{"g/a=1"}, faults: []string{"bad-line@3"}},
		"no key":                 {data: "[g]\n=1\n", faults: []string{"bad-line@2"}},
		"same key":               {data: "[g]\nA=1\nA=2\n", values: []string{"g/a=1"}, faults: []string{"dup-key@3"}},
		"same key in other case": {data: "[g]\nA=1\na=2\n", values: []string{"g/a=1"}, faults: []string{"dup-key@3"}},
		"same section":           {data: "[g]\nA=1\n[g]\nB=2\n", values: []string{"g/a=1", "g/b=2"}, faults: []string{"dup-section@3"}},
		"cp1251":                 {data: "[g]\n# \xca\nA=1\n", values: []string{"g/a=1"}, faults: []string{"bad-utf8@2"}},
		"several at once":        {data: "x\n[g]\nA=1\nA=2\nB\n", values: []string{"g/a=1"}, faults: []string{"no-header@1", "bad-line@1", "dup-key@4", "bad-line@5"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := Parse([]byte(c.data), Lower)
			if diff := cmp.Diff(c.values, values(f)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.faults, kinds(f)); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
			if got := string(f.Bytes()); got != c.data {
				t.Errorf("Bytes = %q, want the input %q", got, c.data)
			}
		})
	}
}

func TestExactFoldingKeepsCase(t *testing.T) {
	f := Parse([]byte("[g]\nA=1\na=2\n"), Exact)
	if diff := cmp.Diff([]string{"g/A=1", "g/a=2"}, values(f)); diff != "" || len(f.Faults) > 0 {
		t.Errorf("faults %v, values (-want +got):\n%s", f.Faults, diff)
	}
}

func TestGetFallsBackToDefault(t *testing.T) {
	f := Parse([]byte("[DEFAULT]\nA=d\nB=d\n[g]\nA=g\n"), Lower)
	for key, want := range map[string]string{"a": "g", "B": "d"} {
		if s, ok := f.Get("g", key); !ok || s.Value != want {
			t.Errorf("Get(g, %s) = %q, %v, want %q", key, s.Value, ok, want)
		}
	}
	if _, ok := f.Get("g", "C"); ok {
		t.Error("Get(g, C) found a key that is nowhere")
	}
}

func TestSetKeepsEverythingElse(t *testing.T) {
	for name, c := range map[string]struct{ data, key, value, want string }{
		"in place":           {"# c\n[g]\n; d\nA=1\n\nB=2\n", "A", "9", "# c\n[g]\n; d\nA=9\n\nB=2\n"},
		"spacing":            {"[g]\nA  =  1  \nB=2\n", "A", "9", "[g]\nA  =  9\nB=2\n"},
		"colon":              {"[g]\nA: 1\n", "A", "9", "[g]\nA: 9\n"},
		"other case":         {"[g]\na=1\n", "A", "9", "[g]\na=9\n"},
		"crlf":               {"[g]\r\nA=1\r\nB=2\r\n", "A", "9", "[g]\r\nA=9\r\nB=2\r\n"},
		"no last newline":    {"[g]\nA=1", "A", "9", "[g]\nA=9"},
		"empty to full":      {"[g]\nA=\n", "A", "9", "[g]\nA=9\n"},
		"full to empty":      {"[g]\nA=1\n", "A", "", "[g]\nA=\n"},
		"new key":            {"[g]\nA=1\n\n# end\n", "B", "2", "[g]\nA=1\nB=2\n\n# end\n"},
		"new, no newline":    {"[g]\nA=1", "B", "2", "[g]\nA=1\nB=2"},
		"new, empty section": {"[g]\n# c\n", "B", "2", "[g]\nB=2\n# c\n"},
		"new, two sections":  {"[g]\nA=1\n\n[h]\nA=1\n", "B", "2", "[g]\nA=1\nB=2\n\n[h]\nA=1\n"},
		"new, indented":      {"[g]\n  A=1\n  C=3\n", "B", "2", "[g]\n  A=1\n  C=3\n  B=2\n"},
		"continuation goes":  {"[g]\nA=1\n  2\nB=2\n", "A", "9", "[g]\nA=9\nB=2\n"},
		"several lines":      {"[g]\nA=1\nB=2\n", "A", "8\n9", "[g]\nA=8\n 9\nB=2\n"},
		"duplicate is one":   {"[g]\nA=1\nB=2\na=3\n  4\nC=5\n", "A", "9", "[g]\nA=9\nB=2\nC=5\n"},
		"same value":         {"[g]\nA=1\n", "A", "1", "[g]\nA=1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.data), Lower).Set("g", c.key, c.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got.Bytes())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		data, key, value string
		is               error
	}{
		"a file without a section":    {data: "A=1\n", key: "A", value: "2", is: ErrFaulty},
		"another key's duplicate":     {data: "[g]\nA=1\nB=1\nB=2\n", key: "A", value: "2", is: ErrFaulty},
		"the same key's elsewhere":    {data: "[g]\nA=1\n[h]\nA=1\nA=2\n", key: "A", value: "2", is: ErrFaulty},
		"a missing section":           {data: "[h]\nA=1\n", key: "A", value: "2", is: ErrNoSection},
		"a value with a blank end":    {data: "[g]\nA=1\n", key: "A", value: "2 "},
		"a value with a blank start":  {data: "[g]\nA=1\n", key: "A", value: " 2"},
		"a line that is a comment":    {data: "[g]\nA=1\n", key: "A", value: "2\n# 3"},
		"a value with a carriage ret": {data: "[g]\nA=1\n", key: "A", value: "2\r3"},
		"a value that is no UTF-8":    {data: "[g]\nA=1\n", key: "A", value: "\xff"},
		"a key with a delimiter":      {data: "[g]\nA=1\n", key: "B=C", value: "2"},
		"a key that is a header":      {data: "[g]\nA=1\n", key: "[h]", value: "2"},
		"a key that is a comment":     {data: "[g]\nA=1\n", key: "#B", value: "2"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(c.data), Lower).Set("g", c.key, c.value)
			if err == nil {
				t.Fatalf("accepted, and made %q", got.Bytes())
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %v, want one that is %v", err, c.is)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	f := Parse([]byte("[g]\nA=1\n  2\n# c\nB=2\n"), Lower)
	got, err := f.Delete("g", "a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("[g]\n# c\nB=2\n", string(got.Bytes())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := got.Delete("g", "a")
	if err != nil || string(again.Bytes()) != string(got.Bytes()) {
		t.Errorf("deleting twice: %v, %q", err, again.Bytes())
	}
}

// FuzzParse holds the laws of the reader: no panic, every byte kept, every line classified, values without blank ends.
func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, data string) {
		p := Parse([]byte(data), Lower)
		if got := string(p.Bytes()); got != data {
			t.Fatalf("Bytes = %q, want %q", got, data)
		}
		for _, s := range p.Settings {
			if strip(s.Value) != s.Value && !strings.HasPrefix(s.Value, "\n") {
				t.Fatalf("value %q has blank ends", s.Value)
			}
		}
	})
}

// FuzzSet holds the laws of the editor: it reads back, twice is once, and deleting what was added gives the old bytes' values.
func FuzzSet(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, "A", "9")
		f.Add(s, "Z", "x\ny")
	}
	f.Fuzz(func(t *testing.T, data, key, value string) {
		p := Parse([]byte(data), Lower)
		one, err := p.Set("g", key, value)
		if err != nil {
			return
		}
		if s, ok := one.Get("g", key); !ok || s.Value != value {
			t.Fatalf("set %q to %q, got %q, %v in %q", key, value, s.Value, ok, one.Bytes())
		}
		two, err := one.Set("g", key, value)
		if err != nil || string(two.Bytes()) != string(one.Bytes()) {
			t.Fatalf("setting twice: %v\n%q\n%q", err, one.Bytes(), two.Bytes())
		}
		if diff := cmp.Diff(p.others("g", key), one.others("g", key)); diff != "" {
			t.Fatalf("other settings changed:\n%s", diff)
		}
		if _, err := one.Delete("g", key); err != nil {
			t.Fatalf("cannot delete what was set: %v", err)
		}
	})
}

func seeds() []string {
	return []string{
		"", "\n", "[g]\nA=1\nB=2\n", "[g]\r\nA = 1 # x\r\n\r\n  B=2\r\n", "\ufeff[g]\nA=1", "A=1\n[g]\nA\n=\n", "[g]\nA=1\na=2\n[g]\n",
		"[g]\n  A=1\n  B: 2\n   C\n[DEFAULT]\nD=3\n[DEFAULT]\n", "# \x00\r[g]x\nA=\xff\n\n ; c\n more\n", "[g]\nA=\n\n  x\n\n\tB=1\n",
	}
}
