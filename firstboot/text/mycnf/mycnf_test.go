package mycnf

import (
	"testing"

	"goldsmith/firstboot/text/texttest"
)

// debian is the shape of Debian's 50-server.cnf and mysqldump.cnf, written for this test.
const debian = `# The comment
!includedir /etc/mysql/conf.d/
[client]
port=3306

[mysqld]
user                    = mysql
#bind-address            = 127.0.0.9
bind_address            = 10.0.0.1   # the golden one
bind-address=10.0.0.2
skip-name-resolve
init_connect = 'SET NAMES "utf8"; -- #1'
path = "C:\\tmp\s1"
; old comment
[mysqldump]
quick
quote-names
[mysqld]
max_connections=1000`

func TestGet(t *testing.T) {
	cases := map[string]string{
		"[mysqld] bind-address":      "10.0.0.2", // the last of both spellings
		"[mysqld] bind_address":      "10.0.0.2",
		"[mysqld] user":              "mysql",
		"[mysqld] skip_name_resolve": "",
		"[mysqld] init-connect":      `SET NAMES "utf8"; -- #1`,
		"[mysqld] path":              `C:\tmp 1`,
		"[mysqldump] quick":          "",
		"[mysqld] max-connections":   "1000",
	}
	for key, want := range cases {
		if got, ok, err := Codec.Get([]byte(debian), key); got != want || !ok || err != nil {
			t.Errorf("%s: %q %v %v", key, got, ok, err)
		}
	}
	if _, ok, err := Codec.Get([]byte(debian), "[mysqld] quick"); ok || err != nil {
		t.Error("an option of another group was found")
	}
}

func TestSet(t *testing.T) {
	cases := []struct{ name, in, key, value, want string }{
		{"behind a comment", "[m]\nb = 1 # c\n", "[m] b", "2", "[m]\nb = 2 # c\n"},
		{"the last one", "[m]\nb-x=1\nb_x=2\n", "[m] b_x", "3", "[m]\nb-x=1\nb_x=3\n"},
		{"a bare option", "[m]\nquick # c\n", "[m] quick", "0", "[m]\nquick = 0 # c\n"},
		{"a new option at the end of its group", "[m]\na=1\n\n# c\n[n]\nb=2\n", "[m] c", "x y", "[m]\na=1\nc = x y\n\n# c\n[n]\nb=2\n"},
		{"a new group", "[m]\na=1\n", "[n] b", "#1", "[m]\na=1\n[n]\nb = \"#1\"\n"},
		{"CRLF", "[m]\r\na=1\r\n", "[m] b", "2", "[m]\r\na=1\r\nb = 2\r\n"},
	}
	for _, c := range cases {
		if got, err := Codec.Set([]byte(c.in), c.key, c.value); string(got) != c.want || err != nil {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, bad := range []string{"a=1\n", "[m\n", "[]\n", "[m]\n=1\n"} {
		if _, err := Codec.List([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	for _, key := range []string{"", "m", "[m]", "[m] ", "[] a", "[m] a=b"} {
		if _, _, err := Codec.Get([]byte(debian), key); err == nil {
			t.Errorf("key %q was taken", key)
		}
	}
}

func TestLaws(t *testing.T) { texttest.Laws(t, Codec, debian, "[m]\r\na=1\r\n", "", "[m]\nquick") }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, Codec, debian, "[m]\na='x\\'y' # z\n", "[m]\na") }
