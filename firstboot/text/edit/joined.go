package edit

import "bytes"

// A Joined is one logical line: one or more lines that backslashes at their ends make one.
type Joined struct {
	Text  []byte // of all lines, without the backslashes and line ends
	At    []int  // offset of each byte of Text
	Whole Span   // of the lines, with the last line end
	Line  int    // number of the first one, 1-based
	Next  int    // number of the line after
	Open  bool   // a line behind it would be joined to it: the backslash stands at the very end of the file
}

// Join returns the logical line that begins at offset start, on line number. The backslash is looked for at the end of what
// was joined so far, as httpd and ifupdown do: two of them before an empty line join twice.
func Join(data []byte, start, number int) Joined {
	j := Joined{Whole: Span{start, start}, Line: number, Next: number}
	for l := range Lines(data[start:]) {
		for i, c := range l.Text {
			j.Text, j.At = append(j.Text, c), append(j.At, start+l.Start+i)
		}
		j.Whole.To = start + l.Stop()
		j.Next++
		n := len(j.Text)
		j.Open = n > 0 && j.Text[n-1] == '\\'
		if l.End == "" || !j.Open {
			break
		}
		j.Text, j.At = j.Text[:n-1], j.At[:n-1]
	}
	return j
}

// Trim removes the given ASCII characters from both ends of the text.
func (j Joined) Trim(cutset string) Joined {
	from := len(j.Text) - len(bytes.TrimLeft(j.Text, cutset))
	to := max(from, len(bytes.TrimRight(j.Text, cutset)))
	j.Text, j.At = j.Text[from:to], j.At[from:to]
	return j
}

// Span returns where in the file a piece of the text stands; where it is empty, the place for it.
func (j Joined) Span(from, to int) Span {
	switch {
	case from < to:
		return Span{j.At[from], j.At[to-1] + 1}
	case from > 0:
		return Span{j.At[from-1] + 1, j.At[from-1] + 1}
	case len(j.At) > 0:
		return Span{j.At[0], j.At[0]}
	}
	return Span{j.Whole.From, j.Whole.From}
}
