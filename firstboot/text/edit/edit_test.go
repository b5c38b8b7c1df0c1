package edit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/text/edit"
)

func TestLinesKeepsEveryByte(t *testing.T) {
	for _, in := range []string{"", "\n", "a", "a\n", "a\r\nb", "a\rb\n", "\r\n\r\n", "a\n\nb\n", "\r"} {
		var got string
		number := 0
		for l := range edit.Lines([]byte(in)) {
			number++
			if l.Number != number || l.Start != len(got) || l.Span().To+len(l.End) != l.Stop() {
				t.Errorf("%q: line %+v does not continue at %d", in, l, len(got))
			}
			got += string(l.Text) + l.End
		}
		if got != in {
			t.Errorf("lines of %q join to %q", in, got)
		}
	}
}

func TestInsertLines(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		at       int
		want     string
	}{
		{"empty file", "", 0, "x\ny\n"},
		{"at the start", "a\n", 0, "x\ny\na\n"},
		{"in the middle", "a\nb\n", 2, "a\nx\ny\nb\n"},
		{"CRLF of the line before", "a\r\nb\n", 3, "a\r\nx\r\ny\r\nb\n"},
		{"CRLF of the first line", "a\r\n", 0, "x\r\ny\r\na\r\n"},
		{"after an unterminated line, which stays so", "a\nb", 3, "a\nb\nx\ny"},
		{"after the only line, unterminated", "a", 1, "a\nx\ny"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, string(edit.InsertLines([]byte(tc.in), tc.at, "x", "y"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpliceLeavesTheInputAlone(t *testing.T) {
	in := []byte("abcdef")
	if got := string(edit.Splice(in[:4:6], edit.Span{From: 1, To: 2}, "XYZ")); got != "aXYZcd" {
		t.Errorf("got %q", got)
	}
	if string(in) != "abcdef" {
		t.Errorf("input became %q", in)
	}
}

func TestUnified(t *testing.T) {
	if got := edit.Unified("a\r\nb\nc", "\n"); got != "a\nb\nc" {
		t.Errorf("LF: %q", got)
	}
	if got := edit.Unified("a\r\nb\nc", "\r\n"); got != "a\r\nb\r\nc" {
		t.Errorf("CRLF: %q", got)
	}
}
