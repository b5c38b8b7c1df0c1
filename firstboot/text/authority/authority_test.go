package authority

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vectors come from rows of a real keystone and from SQLAlchemy, oslo.messaging and OVN URLs.
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/url-rewrite-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		OldHosts []string `json:"old_hosts"`
		Vectors  []struct {
			In, Expect string
			NewHost    string `json:"new_host"`
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 20 {
		t.Fatalf("only %d vectors", len(file.Vectors))
	}
	for _, v := range file.Vectors {
		got, _ := Rewrite(v.In, isOneOf(file.OldHosts), v.NewHost)
		if got != v.Expect {
			t.Errorf("%q to %s: got %q, want %q", v.In, v.NewHost, got, v.Expect)
		}
	}
}

func isOneOf(list []string) func(string) bool {
	return func(h string) bool {
		for _, o := range list {
			a, err1 := netip.ParseAddr(h)
			b, err2 := netip.ParseAddr(o)
			if err1 == nil && err2 == nil && a == b || strings.EqualFold(h, o) {
				return true
			}
		}
		return false
	}
}

func TestHosts(t *testing.T) {
	cases := map[string][]string{
		"http://10.0.0.1:5000/v3":                 {"10.0.0.1"},
		"http://[fd00::1]:5000":                   {"fd00::1"},
		"http://[fd00::1]":                        {"fd00::1"},
		"rabbit://u:p@h1:5672,u:p@[::1]:5672/v":   {"h1", "::1"},
		"mysql+pymysql://u:p@ss:w@db/nova?x=a@b":  {"db"},
		"mysql+pymysql://u:a,b@db/nova":           {"db"},
		"postgresql://u:a,b:1@[::1]:5432/x":       {"::1"},
		"kafka://h1:9092,u:p@h2:9092":             {"h1", "h2"},
		"http://h?x=/y":                           {"h"},
		"tcp:10.0.0.1:6641,tcp:[fd00::2]:6641":    {"10.0.0.1", "fd00::2"},
		"ssl:host:6642":                           {"host"},
		"unix:/run/openvswitch/db.sock":           nil,
		"ptcp:6640:127.0.0.1":                     nil,
		"http://":                                 nil,
		"http://:80/":                             nil,
		"http://[::1":                             nil,
		"no scheme://h":                           nil,
		"{scheme}://{username}:{password}@{host}": nil,
		"qemu+ssh://nova@%s/system?keyfile=/x":    {"%s"},
		"plain text, with a comma":                nil,
	}
	for url, want := range cases {
		if d := cmp.Diff(want, Hosts(url)); d != "" {
			t.Errorf("%s: %s", url, d)
		}
	}
}

func TestRewriteBrackets(t *testing.T) {
	all := func(string) bool { return true }
	cases := []struct{ in, host, want string }{
		{"http://[fd00::1]:80/x", "10.0.0.1", "http://10.0.0.1:80/x"},
		{"http://10.0.0.1:80/x", "fd00::1", "http://[fd00::1]:80/x"},
		{"rabbit://u:p@a:1,u:p@b:2/", "c", "rabbit://u:p@c:1,u:p@c:2/"},
		{"tcp:a:1,tcp:[::1]:2", "fd00::9", "tcp:[fd00::9]:1,tcp:[fd00::9]:2"},
	}
	for _, c := range cases {
		if got, changed := Rewrite(c.in, all, c.host); got != c.want || !changed {
			t.Errorf("%s: got %s %v", c.in, got, changed)
		}
	}
}

func TestUserinfo(t *testing.T) {
	cases := []struct{ in, user, pw, want string }{
		{"rabbit://guest:old@h1:5672,guest:old@h2:5672/", "", "n@w/x", "rabbit://guest:n%40w%2Fx@h1:5672,guest:n%40w%2Fx@h2:5672/"},
		{"mysql+pymysql://nova:old@db/nova?charset=utf8", "nova", "new", "mysql+pymysql://nova:new@db/nova?charset=utf8"},
		{"mysql+pymysql://nova:a,b@db/nova", "", "c,d", "mysql+pymysql://nova:c%2Cd@db/nova"},
		{"rabbit://h1:5672,u:p@h2:5672/", "", "q", "rabbit://h1:5672,u:q@h2:5672/"},
		{"rabbit://u@h1/", "", "q", "rabbit://u:q@h1/"},
		{"http://h/", "u", "p", "http://h/"},
		{"not a url", "u", "p", "not a url"},
	}
	for _, c := range cases {
		got, changed := SetUserinfo(c.in, c.user, c.pw)
		if got != c.want || changed != (got != c.in) {
			t.Errorf("%s: got %s %v", c.in, got, changed)
		}
		if _, pw, ok := Userinfo(got); changed && !strings.HasPrefix(got, "rabbit://h1") && (!ok || pw != c.pw) {
			t.Errorf("%s: read back %q %v", got, pw, ok)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1:5000/v3", "rabbit://u:p@h1:1,u:p@[::1]:2/", "tcp:h:1,ssl:[::2]:3", "a://,@:,[", "x://[::]y"} {
		f.Add(s, "10.0.0.9")
		f.Add(s, "fd00::9")
	}
	f.Fuzz(func(t *testing.T, url, host string) {
		if same, changed := Rewrite(url, func(string) bool { return false }, host); same != url || changed {
			t.Fatalf("rewriting nothing changed %q to %q", url, same)
		}
		if len(Hosts(host)) > 0 || len(Hosts("http://"+bracket(host)+"/")) != 1 || Hosts("http://" + bracket(host) + "/")[0] != host {
			return // not a host
		}
		out, _ := Rewrite(url, func(string) bool { return true }, host)
		for _, h := range Hosts(out) {
			if h != host {
				t.Fatalf("%q became %q, which still names %q", url, out, h)
			}
		}
		if again, _ := Rewrite(out, func(string) bool { return true }, host); again != out {
			t.Fatalf("twice is not once: %q, %q", out, again)
		}
	})
}

// A password set anywhere is the password read there, and nothing but userinfo changes.
func FuzzSetUserinfo(f *testing.F) {
	for _, s := range []string{"mysql+pymysql://nova:a,b@db/nova", "rabbit://u:p@h1:1,u:p@[::1]:2/", "a://@,:@,[", "http://h/u@x"} {
		f.Add(s, "user", "p@ss,w/rd")
	}
	f.Fuzz(func(t *testing.T, url, user, password string) {
		out, changed := SetUserinfo(url, user, password)
		if changed != (out != url) {
			t.Fatalf("%q became %q, said %v", url, out, changed)
		}
		if d := cmp.Diff(Hosts(url), Hosts(out)); d != "" {
			t.Fatalf("%q became %q: %s", url, out, d)
		}
		if again, _ := SetUserinfo(out, user, password); again != out {
			t.Fatalf("twice is not once: %q, %q", out, again)
		}
		if _, was, ok := Userinfo(url); ok && was != password {
			if gotUser, got, ok := Userinfo(out); !ok || got != password || user != "" && gotUser != user {
				t.Fatalf("%q became %q, read back %q %v", url, out, got, ok)
			}
		}
	})
}
