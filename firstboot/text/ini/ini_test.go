package ini_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/ini"
	"goldsmith/firstboot/text/texttest"
)

// dialect shows every rule of oslo.config's reader once.
const dialect = `# goldsmith
[DEFAULT]
my_ip=10.0.0.1
#my_ip = 10.0.0.9
debug : True
transport_url = rabbit://u:p;w#x@10.0.0.1:5672/  
empty =
percent = %(my_ip)s 100%
two words = x
uri=qemu+ssh://nova@%s/system?keyfile=/etc/nova/id
first:second=third
quoted = "  kept  "
single = 'x'
half = "x
pair = ""inner""
many = A,
  B,
	C
backtick = a` + "`" + `b
trailing = back\

[default]
my_ip = 10.0.0.2

[VNC]
server_listen: 0.0.0.0

[pci]
alias = {"name":"one"}
alias = {"name":"two"}

[vnc]
; reopened
enabled = true
`

func TestGet(t *testing.T) {
	for _, tc := range []struct{ name, key, want string }{
		{"no blanks", "[DEFAULT] my_ip", "10.0.0.1"},
		{"DEFAULT is not default", "[default] my_ip", "10.0.0.2"},
		{"colon", "[DEFAULT] debug", "True"},
		{"no inline comment", "[DEFAULT] transport_url", "rabbit://u:p;w#x@10.0.0.1:5672/"},
		{"empty value", "[DEFAULT] empty", ""},
		{"percent is literal", "[DEFAULT] percent", "%(my_ip)s 100%"},
		{"blank in the option", "[DEFAULT] two words", "x"},
		{"equals before colon", "[DEFAULT] uri", "qemu+ssh://nova@%s/system?keyfile=/etc/nova/id"},
		{"colon before equals", "[DEFAULT] first", "second=third"},
		{"double quotes removed", "[DEFAULT] quoted", "  kept  "},
		{"single quotes removed", "[DEFAULT] single", "x"},
		{"half a pair stays", "[DEFAULT] half", `"x`},
		{"one pair removed", "[DEFAULT] pair", `"inner"`},
		{"continuation", "[DEFAULT] many", "A,\nB,\nC"},
		{"backtick", "[DEFAULT] backtick", "a`b"},
		{"backslash continues nothing", "[DEFAULT] trailing", `back\`},
		{"section in another case", "[vnc] server_listen", "0.0.0.0"},
		{"key in another case", "[Vnc] enabled", "true"},
		{"last of several", "[pci] alias", `{"name":"two"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok, err := ini.Codec.Get([]byte(dialect), tc.key); err != nil || !ok || got != tc.want {
				t.Errorf("%s = %q, %v, %v; want %q", tc.key, got, ok, err, tc.want)
			}
		})
	}
	for _, key := range []string{"[DEFAULT] My_ip", "[nova] x", "[vnc] my_ip"} {
		if got, ok, err := ini.Codec.Get([]byte(dialect), key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want nothing", key, got, ok, err)
		}
	}
}

func TestValuesGivesAll(t *testing.T) {
	got, err := ini.Values([]byte(dialect), "[PCI] alias")
	if diff := cmp.Diff([]string{`{"name":"one"}`, `{"name":"two"}`}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestListIsInFileOrder(t *testing.T) {
	got, err := ini.List([]byte("[a]\nx = 1\n[B]\ny: 2\n z\n[a]\nx = 3\n"))
	want := []text.Entry{{Key: "[a] x", Value: "1", Line: 2}, {Key: "[B] y", Value: "2\nz", Line: 4}, {Key: "[a] x", Value: "3", Line: 7}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"spacing stays", "[a]\nx  =   1  \ny=2\n", "[a] x", "9", "[a]\nx  =   9  \ny=2\n"},
		{"the last of several", "[a]\nx=1\nx=2\n", "[a] x", "3", "[a]\nx=1\nx=3\n"},
		{"the last over blocks and case", "[a]\nx=1\n[b]\n[A]\nx=2\n", "[a] x", "3", "[a]\nx=1\n[b]\n[A]\nx=3\n"},
		{"quotes stay", "[a]\nx = '1'\n", "[a] x", "it's", "[a]\nx = 'it's'\n"},
		{"quotes where blanks would go", "[a]\nx = 1\n", "[a] x", " 2 ", "[a]\nx = \" 2 \"\n"},
		{"quotes round quotes", "[a]\nx = 1\n", "[a] x", `"2"`, "[a]\nx = \"\"2\"\"\n"},
		{"hash is no comment", "[a]\nx = 1\n", "[a] x", "p#w ;x", "[a]\nx = p#w ;x\n"},
		{"an empty value", "[a]\nx =\ny=\n", "[a] x", "1", "[a]\nx = 1\ny=\n"},
		{"to empty", "[a]\nx = 1\n", "[a] x", "", "[a]\nx = \n"},
		{"continuations go", "[a]\nx = 1\n  2\n\t3\ny = 4\n", "[a] x", "9", "[a]\nx = 9\ny = 4\n"},
		{"continuations keep their indent", "[a]\nx = 1\n\t2\n", "[a] x", "7\n8\n9", "[a]\nx = 7\n\t8\n\t9\n"},
		{"continuations are made", "[a]\r\nx = 1\r\n", "[a] x", "7\n8", "[a]\r\nx = 7\r\n    8\r\n"},
		{"CRLF and no last newline", "[a]\r\nx = 1\r\ny = 2", "[a] y", "3", "[a]\r\nx = 1\r\ny = 3"},
		{"new option after the last assignment", "[a]\nx=1\n  2\n\n#y = 3\n[b]\n", "[a] y", "4", "[a]\nx=1\n  2\ny=4\n\n#y = 3\n[b]\n"},
		{"new option after the header", "[a]\n# c\n[b]\nx: 1\n", "[a] y", "4", "[a]\ny: 4\n# c\n[b]\nx: 1\n"},
		{"new option in the last block", "[a]\nx = 1\n[b]\n[A]\nz = 1\n", "[a] y", "4", "[a]\nx = 1\n[b]\n[A]\nz = 1\ny = 4\n"},
		{"new option in several lines", "[a]\nx = 1\n", "[a] y", "4\n5", "[a]\nx = 1\ny = 4\n    5\n"},
		{"new section", "[a]\nx=1\n", "[Vnc] y", "4", "[a]\nx=1\n\n[Vnc]\ny=4\n"},
		{"new section, unterminated", "[a]\nx=1", "[b] y", "4", "[a]\nx=1\n\n[b]\ny=4"},
		{"new section after a blank line", "[a]\nx = 1\n\n", "[b] y", "4", "[a]\nx = 1\n\n[b]\ny = 4\n"},
		{"empty file", "", "[b] y", "4", "[b]\ny = 4\n"},
		{"default beside DEFAULT", "[DEFAULT]\nx = 1\n", "[default] x", "2", "[DEFAULT]\nx = 1\n\n[default]\nx = 2\n"},
		{"a value ini.v1 would cut", "[a]\nx = 1\ny = 2\n", "[a] x", "`p`", "[a]\nx = `p`\ny = 2\n"},
		{"a file ini.v1 cannot read", "[a]\nx = `\"\"\"`p\ny = 2\n", "[a] y", "3", "[a]\nx = `\"\"\"`p\ny = 3\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ini.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	got, err := ini.Codec.Delete([]byte("[a]\nx=1\n 2\ny=3\n[b]\n[A]\nx=4\n"), "[a] x")
	if want := "[a]\ny=3\n[b]\n[A]\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestRefuses(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"option before a section", "x = 1\n", "line 1: an option before the first section"},
		{"neither section nor option", "[a]\nx\n", "line 2: neither"},
		{"indented comment", "[a]\n\n  # c\n", "line 3: an indented line that continues nothing"},
		{"indented option at the start", "[a]\n x = 1\n", "line 2: an indented line"},
		{"unclosed section", "[a\n", "line 1: a section header that does not end"},
		{"lone bracket", "[\n", "line 1: a section header"},
		{"unnamed section", "[]\n", "line 1: a section header without"},
		{"comment after a section", "[a] # x]\n", "line 1: a section header without"},
		{"no option name", "[a]\n= 1\n", "line 2: a value without an option"},
		{"byte order mark", "\ufeff[a]\n", "line 1: an option before"},
		{"carriage return inside", "[a]\nx = 1\ry = 2\n", "line 2: a carriage return"},
		{"form feed before an option", "[a]\n\fx = 1\n", "line 2: starts with a blank"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ini.Codec.Set([]byte(tc.in), "[a] x", "1")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
	for _, key := range []string{"", "x", "[a]", "[a] ", "[] x", "[a]x", "[a]b] x", "[a] x=y", "[a] #x", "[a]  x", "[a] x\ny"} {
		if _, err := ini.Codec.Set([]byte("[a]\n"), key, "1"); err == nil || errors.Is(err, text.ErrNoKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	for _, v := range []string{"a\n\nb", "a\rb", "a\n b", "a\n"} {
		if out, err := ini.Codec.Set([]byte("[a]\nx = 1\n"), "[a] x", v); err == nil {
			t.Errorf("value %q became %q", v, out)
		}
	}
}

func TestErrorsShowNoValue(t *testing.T) {
	for _, in := range []string{"[a]\nhunter2\n", "hunter2 = x\n", "[hunter2\n"} {
		if _, _, err := ini.Codec.Get([]byte(in), "[a] x"); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := ini.Codec.Set([]byte("[a]\nx = 1\n"), "[a] x", "hunter2\n\n"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A real nova.conf, changed in three places, differs in exactly those three lines.
func TestRealFileKeepsEveryOtherLine(t *testing.T) {
	in := read(t, "nova.conf")
	data := []byte(in)
	for _, kv := range [][2]string{
		{"[DEFAULT] my_ip", "10.0.9.23"}, {"[vnc] novncproxy_base_url", "http://10.0.9.23:6080/vnc_auto.html"},
		{"[database] connection", "mysql+pymysql://nova:secret@10.0.9.23/nova"},
	} {
		var err error
		if data, err = ini.Codec.Set(data, kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	was, is := strings.SplitAfter(in, "\n"), strings.SplitAfter(string(data), "\n")
	if len(was) < 10000 || len(was) != len(is) {
		t.Fatalf("%d lines became %d", len(was), len(is))
	}
	changed := 0
	for i := range was {
		if was[i] != is[i] {
			changed++
		}
	}
	if changed != 3 {
		t.Errorf("%d lines changed, want 3", changed)
	}
}

func TestLaws(t *testing.T) {
	texttest.Laws(t, ini.Codec, dialect, strings.ReplaceAll(dialect, "\n", "\r\n"), strings.TrimSuffix(dialect, "\n"),
		read(t, "ml2_conf.ini"), read(t, "openvswitch_agent.ini"))
}

func FuzzLaws(f *testing.F) {
	texttest.FuzzLaws(f, ini.Codec, dialect, strings.ReplaceAll(dialect, "\n", "\r\n"), "[a]\nx =\n  1\n", "[a]\n\"x\" = 1\n- = 2\n")
}

func BenchmarkSetIn10000Lines(b *testing.B) {
	data := []byte(read(b, "nova.conf"))
	for b.Loop() {
		if _, err := ini.Codec.Set(data, "[vnc] server_proxyclient_address", "10.0.9.23"); err != nil {
			b.Fatal(err)
		}
	}
}

// Twice the options must not cost four times the time: 10000 active options in one section.
func BenchmarkSetIn10000Options(b *testing.B) {
	var s strings.Builder
	s.WriteString("[DEFAULT]\n")
	for i := range 10000 {
		s.WriteString("option_" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + " = 1\n")
	}
	data := []byte(s.String())
	for b.Loop() {
		if _, err := ini.Codec.Set(data, "[DEFAULT] option_a", "2"); err != nil {
			b.Fatal(err)
		}
	}
}
