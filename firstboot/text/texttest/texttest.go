// Package texttest holds the one suite that checks the laws of text.Codec on every codec, by table and by fuzzing.
package texttest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"goldsmith/firstboot/text"
)

// values are tried on every key of every sample: the plain, the empty, and what quotes, comments and line ends break on.
var values = [...]string{
	"10.0.9.23", "", "two words", " padded ", "tab\there", `say "hi"`, "it's", "a#b ;c # d", `back\slash\`, "50% $HOME `id`",
	"[x]", "k = v", "k: v", "line one\nline two", "cr\rlf", "nul\x00", "Ünïcode", "#", `"`, "'", "http://[fd00::1]:5000/v3?a=b&c=%(d)s",
}

// A reporter is the part of testing.T that the checks use, so that the suite itself can be tested.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Laws checks all laws on every sample: on each key that List names, on the same keys deleted, and with all kinds of
// values. A sample that the codec refuses must be refused by List and Set alike.
func Laws(t *testing.T, c text.Codec, samples ...string) {
	t.Helper()
	if c.Name == "" || c.Get == nil || c.Set == nil || c.List == nil {
		t.Fatal("a codec has a name and at least Get, Set and List")
	}
	for i, s := range samples {
		t.Run(fmt.Sprintf("%s sample %d", c.Name, i+1), func(t *testing.T) {
			entries, err := c.List([]byte(s))
			if err != nil {
				t.Fatalf("List: %v", err)
			}
			checkEntries(t, c, s, entries)
			for _, key := range someKeys(entries) {
				checkDelete(t, c, s, key)
				for _, v := range values {
					checkSet(t, c, s, key, v)
				}
			}
		})
	}
}

// FuzzLaws checks all laws on whatever the fuzzer makes of the seeds.
func FuzzLaws(f *testing.F, c text.Codec, seeds ...string) {
	f.Helper()
	for i, s := range seeds {
		entries, err := c.List([]byte(s))
		if err != nil {
			f.Fatalf("seed %d: List: %v", i+1, err)
		}
		for j, key := range someKeys(entries) {
			f.Add(s, key, values[j%len(values)])
		}
	}
	f.Fuzz(func(t *testing.T, data, key, value string) {
		entries, err := c.List([]byte(data))
		if err != nil {
			if _, err := c.Set([]byte(data), key, value); err == nil {
				t.Errorf("Set accepts what List refuses: %q", data)
			}
			return
		}
		checkEntries(t, c, data, entries)
		checkDelete(t, c, data, key)
		checkSet(t, c, data, key, value)
	})
}

// someKeys returns the distinct keys, or a fair choice of them when there are many.
func someKeys(entries []text.Entry) []string {
	var keys []string
	for _, e := range entries {
		if !slices.Contains(keys, e.Key) {
			keys = append(keys, e.Key)
		}
	}
	const enough = 12
	if len(keys) <= enough {
		return keys
	}
	var some []string
	for i := range enough {
		some = append(some, keys[i*(len(keys)-1)/(enough-1)])
	}
	return some
}

// checkEntries: what List shows, Get gives, and setting it again changes nothing.
func checkEntries(t reporter, c text.Codec, data string, entries []text.Entry) {
	t.Helper()
	line, lines := 1, strings.Count(data, "\n")+1
	for _, e := range entries {
		if e.Line < line || e.Line > lines {
			t.Errorf("%s is said to be on line %d of %d, after line %d", e.Key, e.Line, lines, line)
		}
		line = e.Line
	}
	for _, key := range someKeys(entries) {
		got, ok, err := c.Get([]byte(data), key)
		if err != nil || !ok {
			t.Errorf("List shows %q but Get says %v, %v", key, ok, err)
			continue
		}
		if !slices.ContainsFunc(entries, func(e text.Entry) bool { return strings.EqualFold(e.Key, key) && e.Value == got }) {
			t.Errorf("Get(%q) = %q, which List does not show", key, got)
		}
		out, err := c.Set([]byte(data), key, got)
		if err != nil || string(out) != data {
			t.Errorf("setting %q to what it is: %v\nfrom %q\nto   %q", key, err, data, out)
		}
	}
}

// checkSet: a Set that is accepted reads back, is done once, and leaves everything else as it was.
func checkSet(t reporter, c text.Codec, data, key, value string) {
	t.Helper()
	in := []byte(data)
	_, was, getErr := c.Get(in, key)
	out, err := c.Set(in, key, value)
	if string(in) != data {
		t.Fatalf("Set(%q) changed its input", key)
	}
	if err != nil {
		if out != nil && !bytes.Equal(out, in) {
			t.Errorf("Set(%q) failed and returned other bytes", key)
		}
		return
	}
	if getErr != nil {
		t.Errorf("Set(%q) accepts what Get refuses: %v", key, getErr)
	}
	if got, ok, err := c.Get(out, key); err != nil || !ok || got != value {
		t.Fatalf("Set(%q, %q) reads back as %q, %v, %v\nfrom %q\nto   %q", key, value, got, ok, err, data, out)
	}
	if again, err := c.Set(out, key, value); err != nil || !bytes.Equal(again, out) {
		t.Errorf("Set(%q, %q) twice: %v\nonce  %q\ntwice %q", key, value, err, out, again)
	}
	if err := onlyOne(list(t, c, in), list(t, c, out), !was); err != nil {
		t.Errorf("Set(%q, %q): %v\nfrom %q\nto   %q", key, value, err, data, out)
	}
	checkLineEnds(t, data, string(out))
}

// onlyOne: the two lists differ in one key, and there in one value.
func onlyOne(before, after []text.Entry, added bool) error {
	same := func(a, b text.Entry) bool { return a.Key == b.Key && a.Value == b.Value }
	i := 0
	for i < len(before) && i < len(after) && same(before[i], after[i]) {
		i++
	}
	rest := before[i:]
	switch {
	case i == len(after) && len(rest) == 0 && !added:
		return nil
	case i == len(after):
		return fmt.Errorf("%d settings became %d", len(before), len(after))
	case !added && len(rest) == 0:
		return fmt.Errorf("%q was added", after[i].Key)
	case !added:
		rest = rest[1:]
	}
	if !slices.EqualFunc(rest, after[i+1:], same) {
		return fmt.Errorf("more than %q changed", after[i].Key)
	}
	return nil
}

// checkLineEnds: a file stays LF or CRLF, and terminated or not.
func checkLineEnds(t reporter, before, after string) {
	t.Helper()
	if before == "" {
		return
	}
	if strings.HasSuffix(before, "\n") != strings.HasSuffix(after, "\n") {
		t.Errorf("the last line end came or went\nfrom %q\nto   %q", before, after)
	}
	lf, crlf := strings.Count(before, "\n"), strings.Count(before, "\r\n")
	if lf > 0 && lf == crlf && strings.Count(after, "\n") != strings.Count(after, "\r\n") {
		t.Errorf("a CRLF file got a bare LF\nfrom %q\nto   %q", before, after)
	}
	if !strings.Contains(before, "\r") && strings.Contains(after, "\r\n") {
		t.Errorf("an LF file got a CRLF\nfrom %q\nto   %q", before, after)
	}
}

// checkDelete: what was deleted is gone, and nothing else is.
func checkDelete(t reporter, c text.Codec, data, key string) {
	t.Helper()
	if c.Delete == nil {
		return
	}
	in := []byte(data)
	_, was, _ := c.Get(in, key)
	out, err := c.Delete(in, key)
	if string(in) != data {
		t.Fatalf("Delete(%q) changed its input", key)
	}
	if err != nil {
		return
	}
	if _, ok, err := c.Get(out, key); ok || err != nil {
		t.Errorf("Delete(%q) left it there (%v)\nfrom %q\nto   %q", key, err, data, out)
	}
	if !was && !bytes.Equal(in, out) {
		t.Errorf("Delete(%q) of nothing changed\nfrom %q\nto   %q", key, data, out)
	}
	if again, err := c.Delete(out, key); err != nil || !bytes.Equal(again, out) {
		t.Errorf("Delete(%q) twice: %v\nonce  %q\ntwice %q", key, err, out, again)
	}
	if err := onlyGone(list(t, c, in), list(t, c, out)); err != nil {
		t.Errorf("Delete(%q): %v\nfrom %q\nto   %q", key, err, data, out)
	}
}

// onlyGone: all that is missing in the second list had one key.
func onlyGone(before, after []text.Entry) error {
	gone := ""
	for _, e := range before {
		switch {
		case len(after) > 0 && after[0].Key == e.Key && after[0].Value == e.Value:
			after = after[1:]
		case gone != "" && !strings.EqualFold(gone, e.Key):
			return fmt.Errorf("%q went with %q", e.Key, gone)
		default:
			gone = e.Key
		}
	}
	if len(after) > 0 {
		return fmt.Errorf("%q appeared", after[0].Key)
	}
	return nil
}

func list(t reporter, c text.Codec, data []byte) []text.Entry {
	t.Helper()
	entries, err := c.List(data)
	if err != nil {
		t.Fatalf("List: %v\nof %q", err, data)
	}
	return entries
}
