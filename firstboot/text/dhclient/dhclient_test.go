package dhclient

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// render writes statements as "word|word", with braces for blocks.
func render(list []Statement) []string {
	var out []string
	for _, s := range list {
		var words []string
		for _, w := range s.Words {
			words = append(words, w.Text)
		}
		line := strings.Join(words, "|")
		if s.Block {
			line += "{"
		}
		out = append(out, line)
	}
	return out
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
		fault      string
	}{
		{"Debian's own", "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;\n\nsend host-name = gethostname();\nrequest subnet-mask, broadcast-address,\n\trouters;\n#timeout 60;\n",
			[]string{"option|rfc3442-classless-static-routes|code|121|=|array|of|unsigned|integer|8", "send|host-name|=|gethostname()", "request|subnet-mask,|broadcast-address,|routers"}, ""},
		{"a client id", "send dhcp-client-identifier \"gold; # en\\\"\"; # real comment; send x;\n", []string{`send|dhcp-client-identifier|gold; # en\"`}, ""},
		{"a block", "interface \"ens3\" {\n  send dhcp-lease-time 3600;\n};\ntimeout 60;", []string{"interface|ens3{", "send|dhcp-lease-time|3600", "timeout|60"}, ""},
		{"empty", "\n# nothing\n", nil, ""},
		{"no semicolon", "timeout 60\n", nil, "no semicolon"},
		{"open block", "interface \"a\" {\n", nil, "not closed"},
		{"stray brace", "}\n", nil, "line 1: a brace"},
		{"brace in a statement", "a {\n b }\n", nil, "line 2: a brace"},
		{"block without a name", "{ }", nil, "without a name"},
		{"open quote", "a \"b\n\";", nil, "not closed"},
		{"open quote at the end", "a \"b\\", nil, "not closed"},
	} {
		list, err := Parse([]byte(c.text))
		if diff := cmp.Diff(c.want, render(list)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.fault)
		}
	}
}

// Every word stands where its span says, and statements do not overlap.
func FuzzParse(f *testing.F) {
	f.Add("interface \"e\" {\n send a \"b\"; };# c\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Parse([]byte(text))
		if err != nil {
			return
		}
		last := 0
		for _, s := range list {
			if s.At.From < last || s.At.To > len(text) || s.At.To <= s.At.From {
				t.Fatalf("statement at %+v after %d", s.At, last)
			}
			for _, w := range s.Words {
				if got := text[w.At.From:w.At.To]; strings.Trim(got, `"`) != strings.Trim(w.Text, `"`) {
					t.Fatalf("word %q stands at %q", w.Text, got)
				}
			}
			last = s.At.To
		}
	})
}
