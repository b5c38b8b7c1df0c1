package shellvar_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/shellvar"
	"goldsmith/firstboot/text/texttest"
)

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readable are scripts whose variables are all known, and what a shell gives them.
var readable = []struct {
	name, in string
	want     map[string]string
}{
	{"bare", "A=b\nC=\n_d1=x#y\n", map[string]string{"A": "b", "C": "", "_d1": "x#y"}},
	{"quotes", `A="b c"` + "\nB='d e'\nC=f\\ g\nD=\"h\"'i'j\n", map[string]string{"A": "b c", "B": "d e", "C": "f g", "D": "hij"}},
	{"escapes in double quotes", `A="\"\\\$\` + "`" + `\n"` + "\n", map[string]string{"A": "\"\\$`\\n"}},
	{"nothing escapes in single quotes", `A='\n$x"'` + "\n", map[string]string{"A": `\n$x"`}},
	{"a lone dollar", `A="5$"` + "\nB=5$\nC=\"$'x'\"\nD='$x'\n", map[string]string{"A": "5$", "B": "5$", "C": "$'x'", "D": "$x"}},
	{"export", "export A=b C='d e' # comment\n", map[string]string{"A": "b", "C": "d e"}},
	{"declare with options", "declare -x A=b\ntypeset B=c\n", map[string]string{"A": "b", "B": "c"}},
	{"several in a line", "A=1 B=2\nC=3; D=4\n", map[string]string{"A": "1", "B": "2", "C": "3", "D": "4"}},
	{"export later", "A=1\nexport A\n", map[string]string{"A": "1"}},
	{"last wins", "A=1\nA=2\n", map[string]string{"A": "2"}},
	{"indented", "  A=1\n\texport B=2\n", map[string]string{"A": "1", "B": "2"}},
	{"line continued", "A=b\\\nc \\\n B=\"d\\\ne\"\n", map[string]string{"A": "bc", "B": "de"}},
	{"quotes over lines", "A='b\nC=d'\nE=f\n", map[string]string{"A": "b\nC=d", "E": "f"}},
	{"comments", "#A=1\n  # B=2\nC=3 # D=4\n", map[string]string{"C": "3"}},
	{"unset before", "unset A\nA=1\n", map[string]string{"A": "1"}},
	{"unset after", "A=1\nB=2; unset A\nC=3\n", map[string]string{"B": "2", "C": "3"}},
	{"an if around others", "if [ -f /x ]; then\n  :\nelif true; then :\nelse :; fi\nA=1\n", map[string]string{"A": "1"}},
	{"case and loops", "case x in\n  a|b) : ;;\n  (*) : ;;\nesac\nfor i in 1 2; do :; done\nwhile false; do :; done\nA=1\n", map[string]string{"A": "1"}},
	{"functions", "f() {\n  :\n}\nfunction g { :; }\nA=1\n", map[string]string{"A": "1"}},
	{"commands", "[ -r /x ] && . /x\n: ${Y:=\"a b\"} $(echo ')' \")\")\nulimit -n 1024 > /dev/null 2>&1\nA=1\n", map[string]string{"A": "1"}},
	{"arguments are not assignments", "env B=1 true\necho C=2 > D=3\ntest x = y\nA=1\n", map[string]string{"A": "1"}},
	{"a condition overridden", "if true; then A=1; fi\nA=2\n", map[string]string{"A": "2"}},
	{"subscripts of something else", "ls a[0]\na[b c\nA=1\n", map[string]string{"A": "1"}},
	{"keyword after an assignment", "X=1 if\nA=2\n", map[string]string{"A": "2"}},
	{"unterminated", "A=1\nB=2", map[string]string{"A": "1", "B": "2"}},
	{"empty", "", nil},
}

func TestGet(t *testing.T) {
	for _, tc := range readable {
		t.Run(tc.name, func(t *testing.T) {
			got := map[string]string{}
			entries, err := shellvar.List([]byte(tc.in))
			for _, e := range entries {
				got[e.Key] = e.Value
				if v, ok, err := shellvar.Codec.Get([]byte(tc.in), e.Key); err != nil || !ok || v != tc.want[e.Key] {
					t.Errorf("%s = %q, %v, %v", e.Key, v, ok, err)
				}
			}
			if tc.want == nil {
				tc.want = map[string]string{}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

// What cannot be known is an error for its own variable, and for no other.
func TestUnknowableValues(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"variable", "A=x$B\n", "expansion"},
		{"variable in quotes", `A="x${B:-"y z"}"` + "\n", "expansion"},
		{"command", "A=$(hostname -f | sed 's/)/(/')\n", "expansion"},
		{"command in quotes", "A=\"$(echo \"a b\")\"\n", "expansion"},
		{"backquotes", "A=`hostname \\``\n", "expansion"},
		{"arithmetic", "A=$((1 + 2))\n", "expansion"},
		{"positional", "A=$1\n", "expansion"},
		{"tilde", "A=~/x\n", "tilde"},
		{"ANSI quotes", `A=$'a\n\'b'` + "\n", "$'...'"},
		{"array", "A=(a b\n c)\n", "array"},
		{"element", "A[0]=a\n", "array"},
		{"appended", "A=1\nA+=2\n", "appends"},
		{"in an if", "A=1\nif true; then\n  A=2\nfi\n", "condition"},
		{"in a one-line if", "if true; then A=2; fi\n", "condition"},
		{"in an else", "if true; then :; else A=2; fi\n", "condition"},
		{"in a case", "case x in\n  x) A=1 ;;\nesac\n", "condition"},
		{"in a loop", "for A in 1 2; do A=$A; done\n", "condition"},
		{"in a function", "f() { A=1; }\n", "condition"},
		{"in a subshell", "(A=1)\n", "condition"},
		{"in braces", "{ A=1; }\n", "condition"},
		{"after &&", "true && A=1\n", "condition"},
		{"after && on the line before", "true &&\n  # c\n  A=1\n", "condition"},
		{"in a pipe", "A=1 | cat\n", "condition"},
		{"in the background", "A=1 &\n", "condition"},
		{"for one command", "A=1 true\n", "only for the command"},
		{"unquoted blank", "A=one two\n", "only for the command"},
		{"before a declaration", "A=1 export C=2\n", "only for the command"},
		{"unset on a condition", "A=1\nfalse && unset A\n", "unset on a condition"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := []byte("B=1\n" + tc.in + "Z=2\n")
			for _, other := range []string{"B", "Z"} {
				if _, ok, err := shellvar.Codec.Get(data, other); !ok || err != nil {
					t.Errorf("%s: %v, %v", other, ok, err)
				}
			}
			_, _, err := shellvar.Codec.Get(data, "A")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Get says %v, want %q", err, tc.want)
			}
			if out, err := shellvar.Codec.Set(data, "A", "x"); err == nil {
				t.Errorf("Set makes %q", out)
			}
			texttest.Laws(t, shellvar.Codec, string(data))
		})
	}
}

func TestUnreadableFiles(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"open single quote", "A=1\nB='x\n", "line 2: a quote or bracket"},
		{"open double quote", `B="x`, "line 1: a quote or bracket"},
		{"open command", "B=$(x", "line 1: a quote or bracket"},
		{"here-document", "cat <<EOF\nA=1\nEOF\n", "line 1: a here-document"},
		{"open if", "if true; then\n", "not closed"},
		{"fi without if", "A=1\nfi\n", "line 2: the end of an if"},
		{"bracket without its other", "A=1)\n", "line 1: the end of"},
		{"semicolon alone", "A=1\n;\n", "line 2: a semicolon"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := shellvar.Codec.Set([]byte(tc.in), "A", "2"); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"bare", "A=b # c\n", "A", "d", "A=d # c\n"},
		{"bare URL", "A=b\n", "A", "http://10.0.9.23:5000/v3", "A=http://10.0.9.23:5000/v3\n"},
		{"double quotes stay", `A="b"` + "\n", "A", "d", `A="d"` + "\n"},
		{"double quotes escape", `A="b"` + "\n", "A", "$x\"\\`", `A="\$x\"\\` + "\\`\"\n"},
		{"single quotes stay", "A='b'\n", "A", "$d e", "A='$d e'\n"},
		{"single quotes cannot hold one", "A='b'\n", "A", "it's", "A=\"it's\"\n"},
		{"quotes where needed", "A=b\n", "A", "c d", "A=\"c d\"\n"},
		{"single quotes round a dollar", "A=b\n", "A", "$c", "A='$c'\n"},
		{"a tilde is quoted", "A=b\n", "A", "~c", "A=\"~c\"\n"},
		{"to empty", "A=b\n", "A", "", "A=\n"},
		{"from empty", "A=\nB=1\n", "A", "x", "A=x\nB=1\n"},
		{"the second on a line", "export A=b  C=\"d\" # e\n", "C", "x y", "export A=b  C=\"x y\" # e\n"},
		{"the last of several", "A=1\nA=2\n", "A", "3", "A=1\nA=3\n"},
		{"a value over lines", "A=\"b\nc\"\nD=1\n", "A", "x", "A=\"x\"\nD=1\n"},
		{"CRLF", "A=b\r\nC=d\r\n", "A", "x", "A=x\r\nC=d\r\n"},
		{"new", "A=b\n", "C", "d", "A=b\nC=d\n"},
		{"new, exported like its neighbour", "export A=b\n", "C", "d e", "export A=b\nexport C=\"d e\"\n"},
		{"new, unterminated", "A=b", "C", "d", "A=b\nC=d"},
		{"new in an empty file", "", "C", "d", "C=d\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := shellvar.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	for _, v := range []string{"a\nb", "a\rb", "a\x00b"} {
		if out, err := shellvar.Codec.Set([]byte("A='1'\n"), "A", v); err == nil {
			t.Errorf("%q became %q", v, out)
		}
	}
	for _, key := range []string{"", "1A", "A-B", "A B", "A="} {
		if _, err := shellvar.Codec.Set([]byte("A=1\n"), key, "x"); err == nil || errors.Is(err, text.ErrNoKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestDelete(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"its line goes", "B=1\nexport A=2 # c\nC=3\n", "B=1\nC=3\n"},
		{"all of several", "A=1\nB=2\nA='x\ny'\n", "B=2\n"},
		{"first of a line", "A=1 B=2\n", " B=2\n"},
		{"first of an export", "export A=1  B=2\n", "export  B=2\n"},
		{"last of an export", "export B=1 A=2 # c\n", "export B=1 # c\n"},
		{"what else is exported stays", "export A=1 B\n", "export B\n"},
		{"last line, unterminated", "B=1\nA=2", "B=1\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := shellvar.Codec.Delete([]byte(tc.in), "A")
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
	if out, err := shellvar.Codec.Delete([]byte("A=1; B=2\n"), "A"); err == nil {
		t.Errorf("a command list became %q", out)
	}
}

func TestRealFiles(t *testing.T) {
	for _, tc := range []struct{ file, key, want string }{
		{"keystonerc_admin", "OS_AUTH_URL", "http://127.0.0.1:5000/v3"},
		{"keystonerc_admin", "OS_PASSWORD", "s3cr$t"},
		{"keystonerc_admin", "PS1", `[\u@\h \W(keystone_admin)]\$ `},
		{"keystonerc_admin", "OS_PROJECT_DOMAIN_NAME", "Default"},
		{"ifcfg-br-ex", "OVSDHCPINTERFACES", "ens192"},
		{"os-release", "VERSION_CODENAME", "bookworm"},
		{"envvars", "APACHE_RUN_USER", "www-data"},
		{"nova-consoleproxy", "NOVA_SERIAL_PROXY_START", "true"},
	} {
		if got, ok, err := shellvar.Codec.Get([]byte(read(t, tc.file)), tc.key); got != tc.want || !ok || err != nil {
			t.Errorf("%s %s = %q, %v, %v", tc.file, tc.key, got, ok, err)
		}
	}
	if _, _, err := shellvar.Codec.Get([]byte(read(t, "envvars")), "SUFFIX"); err == nil {
		t.Error("SUFFIX of envvars is set on a condition and was believed")
	}
}

func samples(t testing.TB) []string {
	var all []string
	for _, tc := range readable {
		all = append(all, tc.in)
	}
	for _, f := range []string{"keystonerc_admin", "ifcfg-br-ex", "ifcfg-ens192", "os-release", "envvars", "openvswitch-switch",
		"libvirt-guests", "nova-consoleproxy", "rabbitmq-env.conf"} {
		all = append(all, read(t, f), strings.ReplaceAll(read(t, f), "\n", "\r\n"))
	}
	return all
}

func TestLaws(t *testing.T) { texttest.Laws(t, shellvar.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, shellvar.Codec, samples(f)...) }

func BenchmarkSetIn10000Lines(b *testing.B) {
	data := []byte(strings.Repeat("# comment\nexport A=\"b c\" D=e\n", 4999) + "Z=1\n")
	for b.Loop() {
		if _, err := shellvar.Codec.Set(data, "Z", "2"); err != nil {
			b.Fatal(err)
		}
	}
}
