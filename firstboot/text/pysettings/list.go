package pysettings

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/text/edit"
)

// A list is a list, tuple or set of strings in its source text.
type list struct {
	source string
	open   string // the opening bracket
	first  int    // offset behind it
	end    int    // offset of the closing one
	items  []expr
	commas []int // offset behind the comma of each item; 0 where there is none
}

// GetStrings returns the strings of the list, tuple or set that name is set to. Another right side is an error.
func GetStrings(data []byte, name string) ([]string, bool, error) {
	it, ok, err := find(data, name)
	if err != nil || !ok {
		return nil, false, err
	}
	l, err := parseList(it.Value)
	if err != nil {
		return nil, false, fmt.Errorf("line %d: cannot read %s: %w", it.Line, name, err)
	}
	return l.values(), true, nil
}

// SetStrings sets the strings of the list, tuple or set that name is set to; a missing name gets a list. Brackets, quotes,
// comments and the habit of one item per line stay: item for item is replaced in place, then the rest goes or new ones come
// behind the last.
func SetStrings(data []byte, name string, values []string) ([]byte, error) {
	it, ok, err := find(data, name)
	if err != nil {
		return nil, err
	}
	l := list{source: "[]", open: "[", first: 1, end: 1}
	if ok {
		if l, err = parseList(it.Value); err != nil {
			return nil, fmt.Errorf("line %d: cannot set %s: %w", it.Line, name, err)
		}
	}
	source, err := l.set(values)
	if err != nil {
		return nil, fmt.Errorf("cannot set %s: %w", name, err)
	}
	if is, err := parseList(source); err != nil || !slices.Equal(is.values(), values) {
		return nil, fmt.Errorf("cannot set %s: %w", name, errNoList)
	}
	return Codec.Set(data, name, source)
}

func parseList(source string) (list, error) {
	tokens, err := lex([]byte(source))
	if err != nil || len(tokens) == 0 {
		return list{}, errors.Join(errNoList, err)
	}
	g := grammar{tokens}
	l := list{source: source, open: tokens[0].text, first: tokens[0].span.To}
	closing, ok := map[string]string{"[": "]", "(": ")", "{": "}"}[l.open]
	if !ok || tokens[0].kind != op {
		return list{}, errNoList
	}
	for g.rest = g.rest[1:]; !g.rest[0].is(closing); {
		e, ok := g.expr()
		comma := g.rest[0].span.To
		if !g.accept(",") {
			comma = 0
		}
		if !ok || comma == 0 && !g.rest[0].is(closing) {
			return list{}, errNoList
		}
		l.items, l.commas = append(l.items, e), append(l.commas, comma)
	}
	l.end = g.rest[0].span.From
	if len(g.rest) != 2 || !l.valid() {
		return list{}, errNoList
	}
	return l, nil
}

// valid: "('a')" is a string, and "{}" is a dict.
func (l list) valid() bool {
	n := len(l.items)
	return (l.open != "(" || n != 1 || l.commas[0] > 0) && (l.open != "{" || n > 0)
}

func (l list) values() []string {
	all := make([]string, len(l.items))
	for i, e := range l.items {
		all[i] = e.value
	}
	return all
}

// set returns the source with other strings. It works from the end, so that offsets stay true.
func (l list) set(values []string) (string, error) {
	out := []byte(l.source)
	kept := min(len(l.items), len(values))
	var err error
	switch {
	case len(values) > kept:
		out, err = l.extend(out, values[kept:])
	case len(l.items) > kept:
		out = l.shrink(out, kept)
	}
	for i := kept - 1; i >= 0 && err == nil; i-- {
		e := l.items[i]
		if e.value == values[i] {
			continue
		}
		var written string
		if written, err = e.style.spell(values[i], "\n"); err == nil {
			out = edit.Splice(out, e.span, written)
		}
	}
	return string(out), err
}

// shrink removes the items from n on. The last one kept has a comma behind it if the last one had, or if it makes the
// tuple.
func (l list) shrink(out []byte, n int) []byte {
	last := len(l.items) - 1
	to := max(l.items[last].span.To, l.commas[last])
	if n == 0 {
		return edit.Splice(out, edit.Span{From: l.items[0].span.From, To: to}, "")
	}
	from := l.items[n-1].span.To
	if l.commas[last] > 0 || l.open == "(" && n == 1 {
		from = l.commas[n-1]
	}
	if eol := strings.IndexByte(l.source[l.commas[n-1]:l.items[n].span.From], '\n'); eol >= 0 {
		from = l.commas[n-1] + eol // a comment on the item stays
		if eol = strings.IndexByte(l.source[to:l.end], '\n'); eol >= 0 {
			to += eol // and one on the last item goes
		}
	}
	return edit.Splice(out, edit.Span{From: from, To: to}, "")
}

// extend adds items behind the last.
func (l list) extend(out []byte, values []string) ([]byte, error) {
	written := make([]string, len(values))
	s := style{quote: "'"}
	if len(l.items) > 0 {
		s.quote = l.items[0].style.quote
	}
	for i, v := range values {
		var err error
		if written[i], err = s.spell(v, "\n"); err != nil {
			return nil, err
		}
	}
	if len(l.items) == 0 {
		tail := ""
		if l.open == "(" && len(values) == 1 {
			tail = ","
		}
		return edit.Splice(out, edit.Span{From: l.first, To: l.first}, strings.Join(written, ", ")+tail), nil
	}
	return l.append(out, written), nil
}

func (l list) append(out []byte, written []string) []byte {
	last := len(l.items) - 1
	at, comma := l.items[last].span.To, l.commas[last] > 0
	if comma {
		at = l.commas[last]
	}
	separator, place := ", ", at
	if indent, ok := l.indent(); ok {
		separator = ",\n" + indent
		if n := strings.IndexByte(l.source[at:l.end], '\n'); n >= 0 {
			place = at + n // behind a comment on the last item
		}
	}
	added := strings.TrimPrefix(separator, ",") + strings.Join(written, separator)
	if comma {
		added += ","
	}
	out = edit.Splice(out, edit.Span{From: place, To: place}, added)
	if !comma {
		out = edit.Splice(out, edit.Span{From: at, To: at}, ",")
	}
	return out
}

// indent returns what stands before each item where each has its own line.
func (l list) indent() (string, bool) {
	for i, e := range l.items {
		lead := l.source[:e.span.From]
		indent := lead[strings.LastIndexByte(lead, '\n')+1:]
		if strings.Trim(indent, " \t") != "" || !strings.Contains(lead, "\n") {
			return "", false
		}
		if i == len(l.items)-1 {
			return indent, true
		}
	}
	return "", false
}
