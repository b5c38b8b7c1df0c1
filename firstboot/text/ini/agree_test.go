package ini

import (
	"errors"
	"testing"

	"goldsmith/firstboot/text/edit"
)

// The second reader must be able to say no: each case forges what our own reader claims to have seen.
func TestSecondReaderObjects(t *testing.T) {
	for _, tc := range []struct{ name, before, after, claimed string }{
		{"another option changed", "[a]\nx = 1\ny = 2\n", "[a]\nx = 9\ny = 3\n", "[a]\nx = 9\ny = 2\n"},
		{"nothing changed", "[a]\nx = 1\n", "[a]\nx = 1\n", "[a]\nx = 9\n"},
		{"another section's option changed", "[a]\nx = 1\n[b]\nx = 1\n", "[a]\nx = 1\n[b]\nx = 9\n", "[a]\nx = 9\n[b]\nx = 1\n"},
		{"the next option was swallowed", "[a]\nx = 1\ny = 2\n", "[a]\nx = 9\n y = 2\n", "[a]\nx = 9\ny = 2\n"},
		{"the result cannot be read", "[a]\nx = 1\n", "[a]\nx = 9\n[b\n", "[a]\nx = 9\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			was, err := scan([]byte(tc.before))
			if err != nil {
				t.Fatal(err)
			}
			is, err := scan([]byte(tc.claimed))
			if err != nil {
				t.Fatal(err)
			}
			e := edit.Edit{ID: "[a] x", Before: []byte(tc.before), After: []byte(tc.after), Was: was, Is: is}
			if err := agree(e); !errors.Is(err, errSecondReader) {
				t.Errorf("got %v, want the second reader's objection", err)
			}
		})
	}
}

// Where ini.v1 cannot judge, it must not be asked: these would all fail otherwise.
func TestSecondReaderIsNotAskedAboutWhatItCannotRead(t *testing.T) {
	for name, in := range map[string]string{
		"backtick":          "[a]\nx = `1`\n",
		"three quotes":      "[a]\nx = \"\"\"1\n",
		"quoted option":     "[a]\n\"x\" = 1\n",
		"counter":           "[a]\n- = 1\n",
		"quotes as a value": "[a]\nx = \"\"\"\"\"\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			items, err := scan([]byte(in))
			if err != nil {
				t.Fatal(err)
			}
			if alone(items[0].ID, []string{items[0].Value}) {
				t.Error("ini.v1 is believed to read this as oslo.config does")
			}
		})
	}
}

func TestSecondReaderReadsTheRealDialect(t *testing.T) {
	in := []byte("[DEFAULT]\na=1\nb : \"x y\"\nm = A,\n   B\n\n#c = 1\nl = 1\nl = 2\n[VNC]\ne =\n[default]\na = %(b)s\n[vnc]\nf = a#b;c\n")
	items, err := scan(in)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := reading(in)
	want := ours(items)
	if !ok || len(got) != len(want) {
		t.Fatalf("%v\nwant %v", got, want)
	}
	for id, v := range want {
		if len(got[id]) != len(v) || (len(v) > 0 && got[id][len(v)-1] != v[len(v)-1]) {
			t.Errorf("%s: %q, want %q", id, got[id], v)
		}
	}
}
