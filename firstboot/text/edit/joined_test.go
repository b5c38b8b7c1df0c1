package edit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text/edit"
)

func TestJoin(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		text     []string
		open     bool
	}{
		{"plain lines", "a\nb", []string{"a", "b"}, false},
		{"joined", "a \\\n  b\nc\n", []string{"a   b", "c"}, false},
		{"CRLF", "a\\\r\nb\r\n", []string{"ab"}, false},
		{"an empty line ends it", "a\\\n\nb\n", []string{"a", "b"}, false},
		{"two marks join twice", "a\\\\\n\nb\n", []string{"ab"}, false},
		{"a mark at the end of the last line", "a\\\n", []string{"a"}, true},
		{"a mark on a line that does not end", "a\\", []string{"a\\"}, true},
		{"nothing", "", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := []byte(tc.in)
			var text []string
			open := false
			for at, number := 0, 1; at < len(data); {
				j := edit.Join(data, at, number)
				if j.Whole.From != at || j.Line != number || j.Next <= number {
					t.Fatalf("%+v does not go on at %d on line %d", j, at, number)
				}
				for i, c := range j.Text {
					if data[j.At[i]] != c {
						t.Errorf("byte %d of %q is not at %d", i, j.Text, j.At[i])
					}
				}
				text, open, at, number = append(text, string(j.Text)), j.Open, j.Whole.To, j.Next
			}
			if diff := cmp.Diff(tc.text, text); diff != "" || open != tc.open {
				t.Errorf("open: %v, %s", open, diff)
			}
		})
	}
}

func TestJoinedSpan(t *testing.T) {
	j := edit.Join([]byte("x\n  a\\\nb  \n"), 2, 2).Trim(" ")
	for _, tc := range []struct {
		name     string
		from, to int
		want     edit.Span
	}{
		{"over the mark", 0, 2, edit.Span{From: 4, To: 8}},
		{"one byte", 1, 2, edit.Span{From: 7, To: 8}},
		{"empty at the end", 2, 2, edit.Span{From: 8, To: 8}},
		{"empty at the start", 0, 0, edit.Span{From: 4, To: 4}},
	} {
		if got := j.Span(tc.from, tc.to); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	if got := edit.Join([]byte("a\n\\\n \n"), 2, 2).Trim(" ").Span(0, 0); got != (edit.Span{From: 2, To: 2}) {
		t.Errorf("of nothing: %v", got)
	}
}
