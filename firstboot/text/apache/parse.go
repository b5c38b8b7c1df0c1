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
	for l := range edit.Lines(data) {
		if bytes.ContainsAny(l.Text, "\r\x00") {
			return nil, fmt.Errorf("line %d: a carriage return or NUL inside the line", l.Number)
		}
	}
	for at, number := 0, 1; at < len(data); {
		l := edit.Join(data, at, number)
		if err := p.line(l.Trim(blanks)); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		at, number, p.unfinished = l.Whole.To, l.Next, l.Open
	}
	if n := len(p.open); n > 0 {
		s := p.sections[p.open[n-1]]
		return nil, fmt.Errorf("line %d: the section <%s> is never closed", s.line, s.name)
	}
	return p, nil
}

func (p *parser) line(l edit.Joined) error {
	if len(l.Text) == 0 || l.Text[0] == '#' {
		return nil
	}
	word := l.Text
	if n := bytes.IndexAny(l.Text, blanks); n >= 0 {
		word = l.Text[:n]
	}
	switch {
	case bytes.HasPrefix(word, []byte("</")):
		return p.leave(l, word)
	case word[0] == '<':
		return p.enter(l)
	case !isName(string(word)):
		return errors.New("does not start with the name of a directive")
	}
	p.directives = append(p.directives, p.directive(l, len(word)))
	return nil
}

func (p *parser) directive(l edit.Joined, word int) directive {
	name := string(l.Text[:word])
	d := directive{name: name, section: p.within(), whole: l.Whole, indent: p.indent(l), line: l.Line}
	args := trim(l.Text[word:])
	d.args = string(args)
	d.text = l.Span(word, word)
	if n := len(l.Text); len(args) > 0 {
		d.text = l.Span(n-len(args), n)
	}
	d.key = p.key(d.section, name)
	p.seen[fold(join2(d.section, name))]++
	if n := len(p.open); n > 0 && p.sections[p.open[n-1]].empty {
		p.sections[p.open[n-1]].indent, p.sections[p.open[n-1]].empty = d.indent, false
	}
	return d
}

func (p *parser) enter(l edit.Joined) error {
	end := bytes.LastIndexByte(l.Text, '>')
	if end < 0 {
		return errors.New("a section's opening without its closing bracket")
	}
	name, args := l.Text[1:end], ""
	if n := bytes.IndexAny(name, blanks); n >= 0 {
		name, args = name[:n], string(trim(name[n:]))
	}
	if !isName(string(name)) {
		return errors.New("a section without a usable name")
	}
	opening := "<" + strings.TrimSpace(squeeze(string(name)+" "+args)) + ">"
	s := section{name: string(name), args: args, line: l.Line, empty: true, indent: p.indent(l) + "    "}
	s.key = p.key(p.within(), opening)
	p.seen[fold(join2(p.within(), opening))]++
	p.open = append(p.open, len(p.sections))
	p.sections = append(p.sections, s)
	return nil
}

// leave closes a section. What stands behind the closing tag is ignored, as by httpd.
func (p *parser) leave(l edit.Joined, word []byte) error {
	name, ok := bytes.CutSuffix(word[2:], []byte(">"))
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
	s.end = l.Whole.From
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

func (p *parser) indent(l edit.Joined) string {
	lead := p.data[l.Whole.From:l.At[0]]
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
