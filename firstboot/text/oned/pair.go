package oned

import (
	"bytes"
	"slices"
	"strings"
)

// insertPair writes a pair behind the last one of a vector: on a line of its own where the last one has that, with the same
// indent and the equal signs lined up, else on the same line. The comma goes before a comment that ends the old last line.
func (f *File) insertPair(a Attr, name, value string, want []Attr) ([]byte, error) {
	v, err := quote(value)
	if err != nil {
		return nil, err
	}
	last := a.Pairs[len(a.Pairs)-1]
	indent, own := f.ownLine(last.start)
	if !own {
		return f.splice(want, cut{last.valueEnd, last.valueEnd, ", " + name + " = " + v})
	}
	width := bytes.IndexByte(f.src[last.start:], '=') - 1
	text := "\n" + indent + name + strings.Repeat(" ", max(0, width-len(name))) + " = " + v
	at := last.valueEnd
	if end, ok := f.lineEnd(at); ok && end <= a.closeBracket {
		at = end - 1
	}
	if at == last.valueEnd {
		return f.splice(want, cut{at, at, "," + text})
	}
	return f.splice(want, cut{last.valueEnd, last.valueEnd, ","}, cut{at, at, text})
}

// ownLine returns the blanks before pos, and whether the line holds nothing else before it.
func (f *File) ownLine(pos int) (string, bool) {
	start := bytes.LastIndexByte(f.src[:pos], '\n') + 1
	before := string(f.src[start:pos])
	return before, strings.Trim(before, " \t") == ""
}

// Delete returns data without key: without every attribute that key can mean (all of them for a plain NAME), or without
// the pair. A vector that would become empty goes as a whole, since oned dies of an empty one.
func Delete(data []byte, keyText string) ([]byte, error) {
	f, k, err := parseBoth(data, keyText)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(data)
	for {
		i := f.find(k)
		if i < 0 || k.pair != "" && f.Attrs[i].index(k.pair) < 0 {
			return out, nil
		}
		if err := k.fits(f.Attrs[i]); err != nil && k.pair != "" {
			return nil, err
		}
		if out, err = f.deleteOne(i, k); err != nil {
			return nil, err
		}
		before := len(f.Attrs)
		if f, err = Parse(out); err != nil || k.nth > 0 && len(f.Attrs) < before {
			return out, err
		}
	}
}

func (f *File) deleteOne(i int, k key) ([]byte, error) {
	a, want := f.Attrs[i], clone(f.Attrs)
	if j := a.index(k.pair); k.pair != "" && len(a.Pairs) > 1 {
		want[i].Pairs = slices.Delete(want[i].Pairs, j, j+1)
		return f.splice(want, f.pairCuts(a, j)...)
	}
	return f.splice(slices.Delete(want, i, i+1), f.widen(a.start, a.end))
}

// pairCuts removes a pair and one comma: its own, or for the last pair the one before it.
func (f *File) pairCuts(a Attr, j int) []cut {
	p := a.Pairs[j]
	if p.comma >= 0 {
		if strings.Trim(string(f.src[p.valueEnd:p.comma]), " \t\n") == "" {
			return []cut{f.widen(p.start, p.comma+1)}
		}
		return []cut{{p.start, p.valueEnd, ""}, {p.comma, p.comma + 1, ""}}
	}
	before := a.Pairs[j-1].comma
	c := f.widen(p.start, p.valueEnd)
	c.at = max(c.at, before+1)
	return []cut{{before, before + 1, ""}, c}
}

// widen grows a cut to its whole line where nothing else stands on it, else takes the blanks behind it along.
func (f *File) widen(at, end int) cut {
	indent, own := f.ownLine(at)
	next, bare := f.lineEnd(end)
	if own && bare && len(bytes.Trim(f.src[end:next], " \t\n")) == 0 {
		return cut{at - len(indent), next, ""}
	}
	return cut{at, end + span(f.src[end:], isBlank), ""}
}
