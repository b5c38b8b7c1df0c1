package edit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
	"goldsmith/firstboot/text/texttest"
)

// plain is a sound format of "key=value" lines; "!" as a value cannot be understood. The cases break it in one place each.
func plain() edit.Format {
	return edit.Format{Name: "plain", Scan: scanPlain, ID: idPlain, Encode: encodePlain, Add: addPlain, Deletes: true}
}

func scanPlain(data []byte) ([]edit.Item, error) {
	var items []edit.Item
	for l := range edit.Lines(data) {
		key, value, ok := strings.Cut(string(l.Text), "=")
		if !ok {
			return nil, fmt.Errorf("line %d: no setting", l.Number)
		}
		it := edit.Item{Key: key, ID: strings.ToLower(key), Value: value, Line: l.Number}
		it.Text = edit.Span{From: l.Start + len(key) + 1, To: l.Start + len(l.Text)}
		it.Whole = edit.Span{From: l.Start, To: l.Stop()}
		if value == "!" {
			it.Err = errors.New("a riddle")
		}
		items = append(items, it)
	}
	return items, nil
}

func idPlain(key string) (string, error) {
	if key == "" || strings.ContainsAny(key, "=\r\n") {
		return "", fmt.Errorf("cannot use %q as a key", key)
	}
	return strings.ToLower(key), nil
}

func encodePlain(_ []byte, _ edit.Item, value string) (string, error) { return value, nil }

func addPlain(data []byte, _ []edit.Item, key, value string) ([]byte, error) {
	return edit.InsertLines(data, len(data), key+"="+value), nil
}

const sample = "a=1\nB=2\nb=3\nc=!\nd=!\nD=4\n"

func TestSoundFormat(t *testing.T) {
	c := plain().Codec()
	texttest.Laws(t, c, sample, "", "x=1")
	if got, ok, err := c.Get([]byte(sample), "B"); got != "3" || !ok || err != nil {
		t.Errorf("the last of several: %q, %v, %v", got, ok, err)
	}
	if got, ok, err := c.Get([]byte(sample), "d"); got != "4" || !ok || err != nil {
		t.Errorf("a riddle that is overridden: %q, %v, %v", got, ok, err)
	}
	if _, _, err := c.Get([]byte(sample), "c"); err == nil || !strings.Contains(err.Error(), "line 4: cannot read c: a riddle") {
		t.Errorf("a riddle: %v", err)
	}
	if out, err := c.Delete([]byte(sample), "b"); string(out) != "a=1\nc=!\nd=!\nD=4\n" || err != nil {
		t.Errorf("delete all of several: %q, %v", out, err)
	}
}

// Whatever an encoder does wrong, Set notices and returns no bytes.
func TestSetBelievesNoEncoder(t *testing.T) {
	encodeAs := func(s string) func(*edit.Format) {
		return func(f *edit.Format) {
			f.Encode = func([]byte, edit.Item, string) (string, error) { return s, nil }
		}
	}
	for _, tc := range []struct {
		name     string
		sabotage func(*edit.Format)
		key      string
		want     string
	}{
		{"another value", encodeAs("8"), "a", "no spelling"},
		{"a setting more in between", encodeAs("9\nx=1"), "a", "B on line 2 would change too"},
		{"a setting more at the end", encodeAs("9\nx=1"), "d", "appear or vanish"},
		{"the same setting more", encodeAs("9\na=9"), "a", "more often or less often"},
		{"an unreadable line", encodeAs("9\nx"), "a", "line 2: no setting"},
		{"a riddle", encodeAs("!"), "a", "a riddle"},
		{"another setting changed", func(f *edit.Format) {
			f.Encode = func(data []byte, _ edit.Item, value string) (string, error) {
				data[len(data)-2] = '5'
				return value, nil
			}
		}, "a", "d on line 6 would change too"},
		{"a new setting twice", func(f *edit.Format) {
			f.Add = func(data []byte, _ []edit.Item, key, value string) ([]byte, error) {
				return edit.InsertLines(data, 0, key+"="+value, key+"="+value), nil
			}
		}, "new", "more often or less often"},
		{"a new setting that nobody finds", func(f *edit.Format) {
			f.Add = func(data []byte, _ []edit.Item, _, _ string) ([]byte, error) { return data, nil }
		}, "new", "more often or less often"},
		{"the second proof fails", func(f *edit.Format) {
			f.Check = func(e edit.Edit) error {
				if e.ID != "a" || bytes.Equal(e.Before, e.After) || len(e.Was) != len(e.Is) {
					return fmt.Errorf("wrong edit %+v", e)
				}
				return errors.New("second reader objects")
			}
		}, "A", "second reader objects"},
		{"an encoder that gives up", func(f *edit.Format) {
			f.Encode = func([]byte, edit.Item, string) (string, error) { return "", errors.New("no quotes for this") }
		}, "a", "no quotes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := plain()
			tc.sabotage(&f)
			out, err := f.Codec().Set([]byte(strings.Replace(sample, "D=4", "d=4", 1)), tc.key, "9")
			if err == nil || !strings.Contains(err.Error(), tc.want) || out != nil {
				t.Errorf("got %q, %v; want %q", out, err, tc.want)
			}
		})
	}
}

func TestDeleteBelievesNoSpan(t *testing.T) {
	for name, wrong := range map[string]edit.Span{"nothing": {}, "too much": {From: 0, To: 8}} {
		f := plain()
		f.Scan = func(data []byte) ([]edit.Item, error) {
			items, err := scanPlain(data)
			for i := range items {
				items[i].Whole = wrong
			}
			return items, err
		}
		if out, err := f.Codec().Delete([]byte(sample), "a"); err == nil {
			t.Errorf("%s: %q", name, out)
		}
	}
}

func TestFormatWithoutAddAndDelete(t *testing.T) {
	f := plain()
	f.Add, f.Deletes = nil, false
	c := f.Codec()
	if _, err := c.Set([]byte(sample), "new", "1"); !errors.Is(err, text.ErrNoKey) {
		t.Errorf("got %v, want %v", err, text.ErrNoKey)
	}
	if c.Delete != nil {
		t.Error("a format that cannot delete has a Delete")
	}
}
