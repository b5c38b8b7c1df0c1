package edit

import (
	"bytes"
	"iter"
)

// A Span is a half-open range of bytes: From is the first, To the one after the last.
type Span struct{ From, To int }

// Of returns the bytes of data that the span covers.
func (s Span) Of(data []byte) []byte { return data[s.From:s.To] }

// A Line is one line of a text.
type Line struct {
	Number int    // 1-based
	Start  int    // offset of its first byte
	Text   []byte // without the line end
	End    string // "\n", "\r\n", or "" on a last line that is not terminated
}

// Stop returns the offset after the line and its line end.
func (l Line) Stop() int { return l.Start + len(l.Text) + len(l.End) }

// Span returns the range of the line's text, without the line end.
func (l Line) Span() Span { return Span{l.Start, l.Start + len(l.Text)} }

// Lines yields the lines of data. Only "\n" and "\r\n" end a line; a lone "\r" is text. An empty rest after the last line
// end is no line.
func Lines(data []byte) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		number := 1
		for at := 0; at < len(data); number++ {
			l := lineAt(data, at)
			l.Number = number
			if !yield(l) {
				return
			}
			at = l.Stop()
		}
	}
}

func lineAt(data []byte, at int) Line {
	rest := data[at:]
	n := bytes.IndexByte(rest, '\n')
	switch {
	case n < 0:
		return Line{Start: at, Text: rest}
	case n > 0 && rest[n-1] == '\r':
		return Line{Start: at, Text: rest[:n-1], End: "\r\n"}
	}
	return Line{Start: at, Text: rest[:n], End: "\n"}
}

// LineEnd returns the line end that a line inserted at offset at should have: the one of the line before, else of the
// first line, else "\n".
func LineEnd(data []byte, at int) string {
	for _, n := range []int{bytes.LastIndexByte(data[:at], '\n'), bytes.IndexByte(data, '\n')} {
		switch {
		case n > 0 && data[n-1] == '\r':
			return "\r\n"
		case n >= 0:
			return "\n"
		}
	}
	return "\n"
}

// LineNumber returns the 1-based number of the line that holds offset at.
func LineNumber(data []byte, at int) int { return 1 + bytes.Count(data[:at], []byte("\n")) }

// Splice returns a copy of data with the span replaced.
func Splice(data []byte, s Span, with string) []byte {
	out := make([]byte, 0, len(data)-(s.To-s.From)+len(with))
	out = append(out, data[:s.From]...)
	out = append(out, with...)
	return append(out, data[s.To:]...)
}

// InsertLines returns a copy of data with whole lines inserted at offset at, which is the start of a line or the end of
// data. A file whose last line is not terminated stays so.
func InsertLines(data []byte, at int, lines ...string) []byte {
	end := LineEnd(data, at)
	var b bytes.Buffer
	b.Grow(len(data) + 64)
	b.Write(data[:at])
	open := at > 0 && data[at-1] != '\n'
	for _, l := range lines {
		if open {
			b.WriteString(end + l)
			continue
		}
		b.WriteString(l + end)
	}
	b.Write(data[at:])
	return b.Bytes()
}

// Unified returns s with every line end written as end.
func Unified(s, end string) string {
	s = string(bytes.ReplaceAll([]byte(s), []byte("\r\n"), []byte("\n")))
	if end == "\n" {
		return s
	}
	return string(bytes.ReplaceAll([]byte(s), []byte("\n"), []byte(end)))
}
