package jsonkeys

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/texttest"
)

const vitastorConf = `{
  "etcd_address": ["10.0.0.5:2379", "10.0.0.6:2379"],
  "osd_network": "10.0.0.0/24",
  "log_level": 0, "use_antietcd": true,
  "nested": {"a": null, "b/c": 1}
}
`

var samples = []string{vitastorConf, "{}", "{\"a\":1}", "{\r\n\t\"a\": \"x\\u00e9\\\"\",\r\n\t\"b\": [ [1, 2], {} ]\r\n}\r\n"}

func TestLaws(t *testing.T) { texttest.Laws(t, Codec(), samples...) }

func FuzzLaws(f *testing.F) { texttest.FuzzLaws(f, Codec(), samples...) }

func TestList(t *testing.T) {
	got, err := list([]byte(vitastorConf))
	if err != nil {
		t.Fatal(err)
	}
	want := []text.Entry{{Key: "etcd_address/0", Value: "10.0.0.5:2379", Line: 2}, {Key: "etcd_address/1", Value: "10.0.0.6:2379", Line: 2},
		{Key: "osd_network", Value: "10.0.0.0/24", Line: 3}, {Key: "log_level", Value: "0", Line: 4},
		{Key: "use_antietcd", Value: "true", Line: 4}, {Key: "nested/a", Value: "null", Line: 5}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSet(t *testing.T) {
	for name, tc := range map[string]struct{ in, key, value, want string }{
		"a string":                {`{"a": "x", "b": 1}`, "a", `say "hi" <b>`, `{"a": "say \"hi\" <b>", "b": 1}`},
		"a number stays a number": {`{"a": 1 }`, "a", "2", `{"a": 2 }`},
		"a number becomes text":   {`{"a": 1}`, "a", "x", `{"a": "x"}`},
		"a string of digits":      {`{"a": "1"}`, "a", "2", `{"a": "2"}`},
		"an element":              {`{"a": ["x", "y"]}`, "a/1", "z", `{"a": ["x", "z"]}`},
		"new, on its own line":    {"{\n  \"a\": 1\n}\n", "b", "x", "{\n  \"a\": 1,\n  \"b\": \"x\"\n}\n"},
		"new, on one line":        {`{"a":1}`, "b", "x", `{"a":1,"b": "x"}`},
		"new, in an empty object": {`{}`, "b", "x", `{"b": "x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := set([]byte(tc.in), tc.key, tc.value)
			if err != nil || string(got) != tc.want {
				t.Errorf("%s, %v, want %s", got, err, tc.want)
			}
		})
	}
}

func TestRefuses(t *testing.T) {
	for name, in := range map[string]string{"nothing": "", "an array": "[]", "cut off": `{"a": 1`, "a comment": "{\n// x\n}", "two objects": "{}{}",
		"a member twice": `{"a": 1, "a": 2}`, "a trailing comma": `{"a": 1,}`} {
		if _, err := list([]byte(in)); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for name, tc := range map[string]struct{ in, key, value string }{
		"an object for a value": {`{"a": {}}`, "a", "x"},
		"not UTF-8":             {`{"a": "x"}`, "a", "\xff"},
	} {
		if out, err := set([]byte(tc.in), tc.key, tc.value); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	if _, err := set([]byte(`{"a": {}}`), "a/b", "x"); !errors.Is(err, text.ErrNoKey) {
		t.Errorf("a deep member that is absent: %v", err)
	}
}
