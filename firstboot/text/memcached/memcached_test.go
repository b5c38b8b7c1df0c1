package memcached_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/memcached"
	"goldsmith/firstboot/text/texttest"
)

const sample = "# head\n-d\nlogfile /var/log/memcached.log\n -m 64 -p 11211 # both\n-l 127.0.0.1\n-l ::1\n#-l 0.0.0.0\n-c1024\n--listen=10.0.0.1\n-P /run/m\n"

func TestList(t *testing.T) {
	got := map[string]string{}
	entries, err := memcached.Codec.List([]byte(sample))
	for _, e := range entries {
		got[e.Key] = e.Value
	}
	want := map[string]string{"-d": "", "logfile": "/var/log/memcached.log", "-m": "64", "-p": "11211", "-l": "127.0.0.1", "-l#2": "::1",
		"-c": "1024", "--listen": "10.0.0.1", "-P": "/run/m"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"its place and comment stay", "-m 64 -l  127.0.0.1 # c\n", "-l", "10.0.9.23", "-m 64 -l  10.0.9.23 # c\n"},
		{"the second", "-l 127.0.0.1\n-l ::1\n", "-l#2", "fd00::1", "-l 127.0.0.1\n-l fd00::1\n"},
		{"attached", "-l127.0.0.1\n", "-l", "10.0.9.23", "-l10.0.9.23\n"},
		{"long", "--listen=127.0.0.1\n", "--listen", "10.0.9.23", "--listen=10.0.9.23\n"},
		{"a flag gets a value", "-l\n-d\n", "-l", "10.0.9.23", "-l 10.0.9.23\n-d\n"},
		{"list of addresses", "-l 127.0.0.1\r\n", "-l", "127.0.0.1,[::1]:11211", "-l 127.0.0.1,[::1]:11211\r\n"},
		{"new", "-m 64", "-l", "10.0.9.23", "-m 64\n-l 10.0.9.23"},
		{"a further one", "-l ::1\n", "-l#2", "10.0.9.23", "-l ::1\n-l 10.0.9.23\n"},
		{"a new flag", "", "-k", "", "-k\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := memcached.Codec.Set([]byte(tc.in), tc.key, tc.value)
			if diff := cmp.Diff(tc.want, string(got)); diff != "" || err != nil {
				t.Error(err, diff)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for _, v := range []string{"", "a b", "a#b", "-x", "$(id)", "a;b", "a\nb"} {
		if out, err := memcached.Codec.Set([]byte("-l ::1\n"), "-l", v); err == nil {
			t.Errorf("%q became %q", v, out)
		}
	}
	for _, key := range []string{"", "#2", "-l#0", "-l#x", "-l 1", "-$"} {
		if _, err := memcached.Codec.Set(nil, key, "1"); err == nil || errors.Is(err, text.ErrNoKey) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	if _, err := memcached.Codec.Set([]byte("-l ::1\n"), "-l#3", "1"); !errors.Is(err, text.ErrNoKey) {
		t.Errorf("third of one: %v", err)
	}
	if _, err := memcached.Codec.Set([]byte("-l ::1\n$x\n"), "-l", "1"); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line that is no option: %v", err)
	}
}

func TestDebiansFile(t *testing.T) {
	in, err := os.ReadFile("testdata/memcached.conf")
	if err != nil {
		t.Fatal(err)
	}
	out, err := memcached.Codec.Set(in, "-l", "127.0.0.1")
	if diff := cmp.Diff(strings.Replace(string(in), "\n-l 0.0.0.0\n", "\n-l 127.0.0.1\n", 1), string(out)); diff != "" || err != nil {
		t.Error(err, diff)
	}
	texttest.Laws(t, memcached.Codec, string(in), sample, strings.ReplaceAll(sample, "\n", "\r\n"), "-l ::1")
}

func FuzzLaws(f *testing.F) {
	texttest.FuzzLaws(f, memcached.Codec, sample, strings.ReplaceAll(sample, "\n", "\r\n"), "-l ::1", "--listen=\n-l\\#x\n")
}
