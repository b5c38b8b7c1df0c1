package texttest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"goldsmith/firstboot/text"
)

// A plain codec of "key=value" lines, right in all respects; the cases below break it in one respect each.
func plain() text.Codec {
	return text.Codec{Name: "plain", Get: plainGet, Set: plainSet, Delete: plainDelete, List: plainList}
}

func plainList(data []byte) ([]text.Entry, error) {
	var all []text.Entry
	for i, l := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		if k, v, ok := strings.Cut(l, "="); ok {
			all = append(all, text.Entry{Key: k, Value: v, Line: i + 1})
		}
	}
	return all, nil
}

func plainGet(data []byte, key string) (string, bool, error) {
	all, err := plainList(data)
	for _, e := range all {
		if e.Key == key {
			return e.Value, true, err
		}
	}
	return "", false, err
}

func plainSet(data []byte, key, value string) ([]byte, error) {
	old, ok, _ := plainGet(data, key)
	if !ok || strings.ContainsAny(value, "\r\n") {
		return nil, text.ErrNoKey
	}
	return bytes.Replace(data, []byte(key+"="+old), []byte(key+"="+value), 1), nil
}

func plainDelete(data []byte, key string) ([]byte, error) {
	old, _, _ := plainGet(data, key)
	return bytes.Replace(data, []byte(key+"="+old+"\n"), nil, 1), nil
}

type recorder struct{ said []string }

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, a ...any) {
	r.said = append(r.said, fmt.Sprintf(format, a...))
}
func (r *recorder) Fatalf(format string, a ...any) { r.Errorf(format, a...); runtime.Goexit() }

// verdict runs all checks on one sample and returns the first complaint.
func verdict(c text.Codec, data, key, value string) string {
	r := new(recorder)
	done := make(chan bool)
	go func() {
		defer close(done)
		entries, err := c.List([]byte(data))
		if err != nil {
			r.Fatalf("List: %v", err)
		}
		checkEntries(r, c, data, entries)
		checkDelete(r, c, data, key)
		checkSet(r, c, data, key, value)
	}()
	<-done
	return strings.Join(append(r.said, ""), "\n")
}

const sample = "a=1\nb=2\n# c\nb2=3\n"

func TestSuiteAcceptsAGoodCodec(t *testing.T) {
	if said := verdict(plain(), sample, "b", "x"); said != "" {
		t.Error(said)
	}
	Laws(t, plain(), sample)
}

func TestSuiteCatchesBrokenCodecs(t *testing.T) {
	set := func(f func(data []byte, key, value string) ([]byte, error)) func(*text.Codec) {
		return func(c *text.Codec) { c.Set = f }
	}
	for name, tc := range map[string]struct {
		sabotage func(*text.Codec)
		want     string
	}{
		"value not written": {set(func(d []byte, _, _ string) ([]byte, error) { return d, nil }), "reads back as"},
		"second set differs": {set(func(d []byte, k, v string) ([]byte, error) {
			out, err := plainSet(d, k, v)
			return append(bytes.Clone(out), "#\n"...), err
		}), "twice"},
		"the same value rewrites the file": {set(func(d []byte, k, v string) ([]byte, error) {
			out, err := plainSet(d, k, v)
			return bytes.ReplaceAll(out, []byte("# c"), []byte("#c")), err
		}), "to what it is"},
		"another setting changes": {set(func(d []byte, k, v string) ([]byte, error) {
			out, err := plainSet(d, k, v)
			return bytes.ReplaceAll(out, []byte("a=1"), []byte("a=9")), err
		}), `more than "a" changed`},
		"a setting is lost": {set(func(d []byte, k, v string) ([]byte, error) {
			out, err := plainSet(d, k, v)
			return bytes.ReplaceAll(out, []byte("b2=3\n"), nil), err
		}), `more than "b" changed`},
		"the input is changed": {set(func(d []byte, _, _ string) ([]byte, error) {
			d[0] = 'x'
			return d, nil
		}), "changed its input"},
		"the last line end is lost": {set(func(d []byte, k, v string) ([]byte, error) {
			out, err := plainSet(d, k, v)
			return bytes.TrimSuffix(out, []byte("\n")), err
		}), "the last line end"},
		"line ends become CRLF": {set(func(d []byte, k, v string) ([]byte, error) {
			out, err := plainSet(d, k, v)
			return bytes.ReplaceAll(out, []byte("# c\n"), []byte("# c\r\n")), err
		}), "got a CRLF"},
		"set believes what get refuses": {func(c *text.Codec) {
			c.Get = func([]byte, string) (string, bool, error) { return "", false, errors.New("no") }
		}, "accepts what Get refuses"},
		"list out of order": {func(c *text.Codec) {
			c.List = func(d []byte) ([]text.Entry, error) {
				all, err := plainList(d)
				all[0], all[1] = all[1], all[0]
				return all, err
			}
		}, "is said to be on line"},
		"delete leaves it": {func(c *text.Codec) {
			c.Delete = func(d []byte, _ string) ([]byte, error) { return d, nil }
		}, "left it there"},
		"delete takes too much": {func(c *text.Codec) {
			c.Delete = func(d []byte, k string) ([]byte, error) { return d[bytes.Index(d, []byte("b2")):], nil }
		}, `"b" went with "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := plain()
			tc.sabotage(&c)
			if said := verdict(c, sample, "b", "x"); !strings.Contains(said, tc.want) {
				t.Errorf("want a complaint with %q, got %q", tc.want, said)
			}
		})
	}
}
