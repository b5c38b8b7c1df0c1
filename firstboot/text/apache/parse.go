package apache

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goldsmith/firstboot/text/edit"
)

type directive struct {
	key     string // with its sections and number
	section string // key of the section that holds it; "" at the top
	name    string
	args    string    // joined, not decoded
	text    edit.Span // of the arguments; empty, behind the name, when there are none
	whole   edit.Span // of its lines
	indent  string
	line    int
}

type section struct {
	key, name, args string
	line            int
	end             int    // offset of the closing line
	indent          string // that a new directive in it should have
	empty           bool   // nothing in it has set the indent yet
}

type parser struct {
	data       []byte
	directives []directive
	sections   []section      // in order of opening
	open       []int          // indexes of those not closed yet
	seen       map[string]int // how often a key without its number has stood
	unfinished bool           // a line behind the last one would continue it
}

func parse(data []byte) (*parser, error) {
	p := &parser{data: data, seen: map[string]int{}}
	for at, number := 0, 1; at < len(data); {
		l, err := join(data, at, number)
		if err == nil {
			err = p.line(l)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		at, number, p.unfinished = l.whole.To, l.next, l.open
	}
	if n := len(p.open); n > 0 {
		s := p.sections[p.open[n-1]]
		return nil, fmt.Errorf("line %d: the section <%s> is never closed", s.line, s.name)
	}
	return p, nil
}

// A logical line is one or more lines joined at their continuation marks.
type logical struct {
	text  []byte // joined, surrounding blanks removed
	at    []int  // offset of each byte of text
	whole edit.Span
	line  int  // number of the first line
	next  int  // number of the line after
	open  bool // what comes behind it would be joined to it
}

// join reads as ap_cfg_getline_core does: the mark is looked for behind what was joined so far, so that a mark before an
// empty line may be found twice.
func join(data []byte, start, number int) (logical, error) {
	l := logical{whole: edit.Span{From: start, To: start}, line: number, next: number}
	for piece := range edit.Lines(data[start:]) {
		if bytes.ContainsAny(piece.Text, "\r\x00") {
			return l, errors.New("a carriage return or NUL inside the line")
		}
		for i, c := range piece.Text {
			l.text, l.at = append(l.text, c), append(l.at, start+piece.Start+i)
		}
		l.whole.To = start + piece.Stop()
		l.next++
		n := len(l.text)
		l.open = n > 0 && l.text[n-1] == '\\'
		if piece.End == "" || !l.open {
			break
		}
		l.text, l.at = l.text[:n-1], l.at[:n-1]
	}
	from := len(l.text) - len(bytes.TrimLeft(l.text, blanks))
	to := max(from, len(bytes.TrimRight(l.text, blanks)))
	l.text, l.at = l.text[from:to], l.at[from:to]
	return l, nil
}

func (p *parser) line(l logical) error {
	if len(l.text) == 0 || l.text[0] == '#' {
		return nil
	}
	word := l.text
	if n := bytes.IndexAny(l.text, blanks); n >= 0 {
		word = l.text[:n]
	}
	switch {
	case bytes.HasPrefix(word, []byte("</")):
		return p.leave(l)
	case word[0] == '<':
		return p.enter(l)
	case !isName(string(word)):
		return errors.New("does not start with the name of a directive")
	}
	p.directives = append(p.directives, p.directive(l, len(word)))
	return nil
}

func (p *parser) directive(l logical, word int) directive {
	name := string(l.text[:word])
	d := directive{name: name, section: p.within(), whole: l.whole, indent: p.indent(l), line: l.line}
	args := trim(l.text[word:])
	d.args = string(args)
	d.text = edit.Span{From: l.at[word-1] + 1, To: l.at[word-1] + 1}
	if n := len(args); n > 0 {
		d.text = edit.Span{From: l.at[len(l.at)-n], To: l.at[len(l.at)-1] + 1}
	}
	d.key = p.key(d.section, name)
	p.seen[fold(join2(d.section, name))]++
	if n := len(p.open); n > 0 && p.sections[p.open[n-1]].empty {
		p.sections[p.open[n-1]].indent, p.sections[p.open[n-1]].empty = d.indent, false
	}
	return d
}

func (p *parser) enter(l logical) error {
	end := bytes.LastIndexByte(l.text, '>')
	if end < 0 {
		return errors.New("a section's opening without its closing bracket")
	}
	name, args := l.text[1:end], ""
	if n := bytes.IndexAny(name, blanks); n >= 0 {
		name, args = name[:n], string(trim(name[n:]))
	}
	if !isName(string(name)) {
		return errors.New("a section without a usable name")
	}
	opening := "<" + strings.TrimSpace(squeeze(string(name)+" "+args)) + ">"
	s := section{name: string(name), args: args, line: l.line, empty: true, indent: p.indent(l) + "    "}
	s.key = p.key(p.within(), opening)
	p.seen[fold(join2(p.within(), opening))]++
	p.open = append(p.open, len(p.sections))
	p.sections = append(p.sections, s)
	return nil
}

func (p *parser) leave(l logical) error {
	name, ok := bytes.CutSuffix(l.text[2:], []byte(">"))
	if !ok || !isName(string(name)) {
		return errors.New("a section's end that is not </name>")
	}
	if len(p.open) == 0 {
		return fmt.Errorf("</%s> closes nothing", name)
	}
	s := &p.sections[p.open[len(p.open)-1]]
	if !strings.EqualFold(s.name, string(name)) {
		return fmt.Errorf("</%s> stands where </%s> should: <%s> was opened on line %d", name, s.name, s.name, s.line)
	}
	s.end = l.whole.From
	p.open = p.open[:len(p.open)-1]
	return nil
}

// within returns the key of the section that is open.
func (p *parser) within() string {
	if len(p.open) == 0 {
		return ""
	}
	return p.sections[p.open[len(p.open)-1]].key
}

// key returns the key that the next directive or opening of this name gets.
func (p *parser) key(within, name string) string {
	key := join2(within, name)
	if n := p.seen[fold(key)]; n > 0 {
		return key + "#" + strconv.Itoa(n+1)
	}
	return key
}

func (p *parser) indent(l logical) string {
	lead := p.data[l.whole.From:l.at[0]]
	if bytes.ContainsAny(lead, "\\\r\n") {
		return ""
	}
	return string(lead)
}

func join2(section, name string) string {
	if section == "" {
		return name
	}
	return section + " " + name
}

// isName tells whether s can be the name of a directive: modules declare them as identifiers.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c != '_' && c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}
