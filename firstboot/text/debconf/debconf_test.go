package debconf_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/debconf"
	"goldsmith/firstboot/text/texttest"
)

// dialect shows every rule of debconf's reader once.
const dialect = `Name: a/twice
Value: overridden

name: a/lower
TEMPLATE: a/lower
value:close
OWNERS: a

Name: a/empty
Value: 

Name: a/nothing
Value:

Name: a/lines
Value: one\ntwo: three\n
Extended: x

Value: nobody's

Name: a/none
Template: a/none
Owners: a, b
Flags: seen
Variables:
 Value = not a value
 Name = x


Name: a/twice
Value: first
Value:  padded 
Owners: a`

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
		{"fields in any case, no blank", "a/lower", "close"},
		{"empty", "a/empty", ""},
		{"empty without a blank", "a/nothing", ""},
		{"several lines", "a/lines", "one\ntwo: three\n"},
		{"last question, last value, blanks kept", "a/twice", " padded "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok, err := debconf.Codec.Get([]byte(dialect), tc.key); err != nil || !ok || got != tc.want {
				t.Errorf("%s = %q, %v, %v; want %q", tc.key, got, ok, err, tc.want)
			}
		})
	}
	for _, key := range []string{"a/none", "a/unknown", "x", "Name"} {
		if got, ok, err := debconf.Codec.Get([]byte(dialect), key); ok || err != nil {
			t.Errorf("%s = %q, %v, %v; want absent", key, got, ok, err)
		}
	}
}

func TestQuestionWithoutValueHidesAnEarlierOne(t *testing.T) {
	in := []byte("Name: a\nValue: 1\n\nName: a\nFlags: seen\n")
	if got, ok, err := debconf.Codec.Get(in, "a"); ok || err != nil {
		t.Errorf("got %q, %v, %v", got, ok, err)
	}
	out, err := debconf.Codec.Set(in, "a", "2")
	if want := "Name: a\nValue: 1\n\nName: a\nValue: 2\nFlags: seen\n"; err != nil || string(out) != want {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestSet(t *testing.T) {
	for _, tc := range []struct{ name, in, key, value, want string }{
		{"value only", "Name: a\nValue: 1\nFlags: seen\n\n", "a", "2", "Name: a\nValue: 2\nFlags: seen\n\n"},
		{"no blank before", "Name: a\nValue:1\n", "a", " 2", "Name: a\nValue:  2\n"},
		{"several lines", "Name: a\nValue: 1\n", "a", "1\n2", "Name: a\nValue: 1\\n2\n"},
		{"empty", "Name: a\nValue: 1\n", "a", "", "Name: a\nValue: \n"},
		{"added above owners", "Name: a\nTemplate: a\nOwners: x\nVariables:\n y = z\n\n", "a", "1", "Name: a\nTemplate: a\nValue: 1\nOwners: x\nVariables:\n y = z\n\n"},
		{"added to a bare name", "Name: a", "a", "1", "Name: a\nValue: 1"},
		{"another question stays", "Name: a\nValue: 1\n\nName: ab\nValue: 1\n", "ab", "2", "Name: a\nValue: 1\n\nName: ab\nValue: 2\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := debconf.Codec.Set([]byte(tc.in), tc.key, tc.value)
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
		name, key, value string
		noKey            bool
	}{
		{"unknown question", "a/unknown", "x", true},
		{"no key", "", "x", false},
		{"a backslash before an n", "a/lower", `C:\new`, false},
		{"a carriage return", "a/lower", "x\r", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := debconf.Codec.Set([]byte(dialect), tc.key, tc.value)
			if err == nil || errors.Is(err, text.ErrNoKey) != tc.noKey {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	got, err := debconf.Codec.Delete([]byte("Name: a\nTemplate: a\nValue: 1\nOwners: x\n"), "a")
	if err != nil || string(got) != "Name: a\nTemplate: a\nOwners: x\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"CRLF", "Name: a\r\nValue: 1\r\n", "line 1: a carriage return"},
		{"bare carriage return", "Name: a\nValue: 1\r2\n", "line 2: a carriage return"},
		{"two names", "Name: a\nName: b\n", "line 2: a question with two names"},
		{"no name", "Name: \nValue: 1\n", "line 1: a question with two names or an empty one"},
		{"indented", "Name: a\n Value: 1\n", "line 2: an indented line"},
		{"blank that is not empty", "Name: a\n \nName: b\n", "line 2: an indented line"},
		{"no colon", "Name: a\nValue\n", "line 2: not of the form"},
		{"no field", "Name: a\n: x\n", "line 2: not of the form"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := debconf.Codec.List([]byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestErrorsKeepPasswords(t *testing.T) {
	in := []byte("Name: nova/mysql/app-pass\nValue: s3cret\n")
	if _, err := debconf.Codec.Set(in, "nova/mysql/app-pass", `n3w\n`); err == nil || strings.Contains(err.Error(), "3") {
		t.Errorf("got %v", err)
	}
	if _, err := debconf.Codec.List(append(in, " s3cret\n"...)); err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestAnswersFollowTheAddress(t *testing.T) {
	in := sample(t, "config.dat")
	out := []byte(in)
	var err error
	for key, value := range map[string]string{"nova/my-ip": "10.77.0.9", "horizon/allowed-hosts": "clone1"} {
		if out, err = debconf.Codec.Set(out, key, value); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Replace(in, "Value: openstack-golden", "Value: clone1", 1)
	want = strings.Replace(want, "Template: nova/my-ip\nValue: 10.77.0.162", "Template: nova/my-ip\nValue: 10.77.0.9", 1)
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
}

func samples(t testing.TB) []string {
	return []string{"", "Name: a\nValue: b", dialect, sample(t, "config.dat")}
}

func TestLaws(t *testing.T) { texttest.Laws(t, debconf.Codec, samples(t)...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, debconf.Codec, samples(f)...) }
