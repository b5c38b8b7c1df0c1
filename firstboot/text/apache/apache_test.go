package apache_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/apache"
	"goldsmith/firstboot/text/texttest"
)

// dialect shows every rule of httpd's reader once.
const dialect = `# ServerName commented.example.net
# a comment that goes on \
ServerName swallowed.example.net
Listen 80
listen 443 https
ServerRoot
SERVERNAME "quoted.example.net"

<VirtualHost *:80>
	servername   one.example.net
    ServerAlias a.example.net  b.example.net \
        c.example.net # not a comment
    ServerAlias 'd e' f
    SetEnv path "C:\\temp \"x\""
    <IfModule mod_ssl.c>
        ServerAlias nested
    </IfModule>
</virtualhost> # end of one
<virtualhost   *:80>
    ServerName ""
</VirtualHost>
<VirtualHost 10.0.0.1:443 [fd00::1]:443>
</VirtualHost>
<If "%{HTTP_HOST} > 'a'">
  Redirect / http://one.example.net/
</If>
ErrorLog ${APACHE_LOG_DIR}/error.log
Half "open
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
		{"top level", "Listen", "80"},
		{"second of a name, in any case", "LISTEN#2", "443 https"},
		{"no arguments", "ServerRoot", ""},
		{"one quoted word is the word", "ServerName", "quoted.example.net"},
		{"in a section", "<VirtualHost *:80> ServerName", "one.example.net"},
		{"section in another case, with other blanks", " <virtualHOST  *:80>  ServerName ", "one.example.net"},
		{"continued, number sign kept", "<VirtualHost *:80> ServerAlias", "a.example.net  b.example.net         c.example.net # not a comment"},
		{"several words keep their quotes", "<VirtualHost *:80> ServerAlias#2", "'d e' f"},
		{"escapes among several words stay", "<VirtualHost *:80> SetEnv", `path "C:\\temp \"x\""`},
		{"nested sections", "<VirtualHost *:80> <IfModule mod_ssl.c> ServerAlias", "nested"},
		{"second section of the same opening", "<VirtualHost *:80>#2 ServerName", ""},
		{"bracket inside the opening", `<If "%{HTTP_HOST} > 'a'"> Redirect`, "/ http://one.example.net/"},
		{"variable as written", "ErrorLog", "${APACHE_LOG_DIR}/error.log"},
		{"quote never closed", "Half", `"open`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok, err := apache.Codec.Get([]byte(dialect), tc.key); err != nil || !ok || got != tc.want {
				t.Errorf("%s = %q, %v, %v; want %q", tc.key, got, ok, err, tc.want)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	for _, key := range []string{"ServerName#2", "ServerAlias", "<VirtualHost *:80> Listen", "<VirtualHost *:8080> ServerName", "Listen#3"} {
		if got, ok, err := apache.Codec.Get([]byte(dialect), key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want absent", key, got, ok, err)
		}
	}
}

func TestBadKeys(t *testing.T) {
	for _, key := range []string{"", "<VirtualHost *:80>", "ServerName#1", "<V a> #2", "a/b", "Listen 80 443;"} {
		if _, _, err := apache.Codec.Get([]byte(dialect), key); err == nil {
			t.Errorf("%q is taken for a key", key)
		}
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"spacing and case stay", "\tservername   a\n", "ServerName", "b", "\tservername   b\n"},
		{"quotes stay", "ServerName \"a\"\n", "ServerName", "b", "ServerName \"b\"\n"},
		{"single quotes stay", "ServerName 'a' \n", "ServerName", "it's", "ServerName 'it\\'s' \n"},
		{"a value that begins with a quote", "ServerName a\n", "ServerName", `"b"`, "ServerName \"\\\"b\\\"\"\n"},
		{"a value that ends in a backslash", "Root a\n", "Root", `C:\`, "Root \"C:\\\\\"\n"},
		{"empty", "ServerName a\n", "ServerName", "", "ServerName \"\"\n"},
		{"no arguments before", "ServerName\n", "ServerName", "b", "ServerName b\n"},
		{"continued value becomes one line", "A x \\\n  y\nB z\n", "A", "w", "A w\nB z\n"},
		{"name on a line of its own", "ServerName \\\n  a\n", "ServerName", "b", "ServerName \\\n  b\n"},
		{"only the second", "Listen 1\nListen 2\n", "Listen#2", "3", "Listen 1\nListen 3\n"},
		{"CRLF", "Listen 1\r\nListen 2\r\n", "Listen", "3", "Listen 3\r\nListen 2\r\n"},
		{"CRLF continued", "A x \\\r\n  y\r\nB z", "B", "w", "A x \\\r\n  y\r\nB w"},
		{"added behind its like", "<V a>\n\tAlias x\n\tRoot y\n</V>\n", "<V a> Alias#2", "z", "<V a>\n\tAlias x\n\tAlias z\n\tRoot y\n</V>\n"},
		{"added before the end", "<V a>\n\tRoot y\n</V>\n", "<V a> Alias", "z", "<V a>\n\tRoot y\n\tAlias z\n</V>\n"},
		{"added to an empty section", "  <V a>\n  </V>\n", "<V a> Alias", "z", "  <V a>\n      Alias z\n  </V>\n"},
		{"added at the top", "Listen 1", "ServerName", "z", "Listen 1\nServerName z"},
		{"added to nothing", "", "ServerName", "z", "ServerName z\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := apache.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in, key, value string
		noKey                bool
	}{
		{"no such section", "Listen 1\n", "<V a> X", "y", true},
		{"a number too far", "Listen 1\n", "Listen#3", "y", true},
		{"a line end in a value", "Listen 1\n", "Listen", "1\nListen 2", false},
		{"a line end in a new value", "Listen 1\n", "ServerName", "a\nListen 2", false},
		{"behind a mark at the end", "Listen 1 \\\n", "ServerName", "a", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := apache.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if err == nil || errors.Is(err, text.ErrNoKey) != tc.noKey {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"never closed", "Listen 1\n<V a>\nX y\n", "line 2: the section <V> is never closed"},
		{"closed twice", "<V a>\n</V>\n</V>\n", "line 3: </V> closes nothing"},
		{"crossed", "<A>\n<B>\n</A>\n</B>\n", "line 3: </A> stands where </B> should: <B> was opened on line 2"},
		{"no bracket", "<V a\n</V>\n", "line 1: a section's opening without"},
		{"end without its bracket", "<V a>\n</V\n", "line 2: a section's end that is not"},
		{"end with a blank", "<V a>\n</V >\n", "line 2: a section's end that is not"},
		{"not a directive", "Listen 1 \\\n2\n= 3\n", "line 3: does not start with the name"},
		{"section without a name", "<>\n</>\n", "line 1: a section without"},
		{"bare carriage return", "Listen 1\rListen 2\n", "line 1: a carriage return"},
		{"NUL", "Listen 1\x00\n", "line 1: a carriage return or NUL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := apache.Codec.List([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestVirtualHosts(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []apache.VirtualHost
	}{
		{"all rules", dialect, []apache.VirtualHost{
			{Section: "<VirtualHost *:80>", Addresses: []string{"*:80"}, ServerName: "one.example.net", Line: 9, Aliases: []string{
				"a.example.net", "b.example.net", "c.example.net", "#", "not", "a", "comment", "d e", "f"}},
			{Section: "<virtualhost *:80>#2", Addresses: []string{"*:80"}, Line: 19},
			{Section: "<VirtualHost 10.0.0.1:443 [fd00::1]:443>", Addresses: []string{"10.0.0.1:443", "[fd00::1]:443"}, Line: 22},
		}},
		{"the last name is in force", "<VirtualHost a>\nServerName b\nServerName c\n</VirtualHost>\n", []apache.VirtualHost{
			{Section: "<VirtualHost a>", Addresses: []string{"a"}, ServerName: "c", Line: 1}}},
		{"packstack's Horizon", sample(t, "15-horizon_vhost.conf"), []apache.VirtualHost{
			{Section: "<VirtualHost *:80>", Addresses: []string{"*:80"}, ServerName: "openstack-golden.example.net", Line: 6,
				Aliases: []string{"10.77.237.155", "openstack-golden.example.net", "localhost"}}}},
		{"Debian's Horizon", sample(t, "openstack-dashboard-ssl.conf"), []apache.VirtualHost{
			{Section: "<VirtualHost *:443>", Addresses: []string{"*:443"}, Line: 1}}},
		{"none", "Listen 80\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := apache.VirtualHosts([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHorizonFollowsItsAddress(t *testing.T) {
	in := sample(t, "15-horizon_vhost.conf")
	got, err := apache.Codec.Set([]byte(in), "<VirtualHost *:80> ServerAlias", "10.77.0.9")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Replace(in, "10.77.237.155", "10.77.0.9", 1), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestMapWords(t *testing.T) {
	swap := func(word string) string {
		if v, ok := map[string]string{"old": "new", "two words": "one", "plain": "now two", "path": `C:\x`, "gone": ""}[word]; ok {
			return v
		}
		return word
	}
	for _, tc := range []struct{ name, in, want string }{
		{"one of several", "a  old\tb", "a  new\tb"},
		{"not a part of a word", "older old.example.net", "older old.example.net"},
		{"quotes stay", `"old" 'two words'`, `"new" 'one'`},
		{"quotes where they are needed now", "plain path gone", `"now two" "C:\\x" ""`},
		{"untouched words keep their spelling", `"a\\b" 'c' old`, `"a\\b" 'c' new`},
		{"blanks at the ends", " old ", " new "},
		{"nothing", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, apache.MapWords(tc.in, swap)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWords(t *testing.T) {
	want := []string{"a", "b c", `d"e`, `f\`, "", "half open"}
	if diff := cmp.Diff(want, apache.Words(`a "b c" 'd"e' f\\ "" "half open`)); diff != "" {
		t.Error(diff)
	}
}

func samples(t testing.TB) []string {
	return []string{"", "Listen 80", dialect, strings.ReplaceAll(dialect, "\n", "\r\n"),
		sample(t, "15-horizon_vhost.conf"), sample(t, "openstack-dashboard-ssl.conf"), sample(t, "ports.conf")}
}

func TestLaws(t *testing.T) { texttest.Laws(t, apache.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, apache.Codec, samples(f)...) }
