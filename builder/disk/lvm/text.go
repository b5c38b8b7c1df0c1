package lvm

import (
	"fmt"
	"strconv"
)

// The metadata of a volume group is text: `name { ... }`, `name = value`, values being numbers, "strings" or [lists],
// and # comments up to the end of the line (lvm2's libdm/libdm-config.c).

// A section is what stands between two braces.
type section struct {
	values   map[string]any // int64, string or []any
	sections map[string]*section
	order    []string // names of sections, as written
}

// Limits: the real text of a large group is some 100 KiB and three levels deep.
const (
	maxDepth  = 16
	maxValues = 1 << 20
)

type parser struct {
	text  []byte
	at    int
	count int
}

// parse reads the whole text.
func parse(text []byte) (*section, error) {
	p := &parser{text: text}
	s, err := p.section(0)
	if err == nil && p.at < len(p.text) {
		err = p.fail("a closing brace too many")
	}
	return s, err
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("metadata is wrong at byte %d: %s", p.at, fmt.Sprintf(format, args...))
}

// skip moves over space and comments; a zero byte ends the text.
func (p *parser) skip() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == 0:
			p.text = p.text[:p.at]
		case c == '#':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',':
			p.at++
		default:
			return
		}
	}
}

func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// section reads up to the brace that closes it, or to the end at depth 0.
func (p *parser) section(depth int) (*section, error) {
	s := &section{values: map[string]any{}, sections: map[string]*section{}}
	if depth > maxDepth {
		return nil, p.fail("more than %d levels", maxDepth)
	}
	for {
		p.skip()
		switch {
		case p.peek() == 0 && depth == 0:
			return s, nil
		case p.peek() == '}' && depth == 0:
			return s, nil // parse complains
		case p.peek() == '}':
			p.at++
			return s, nil
		}
		if err := p.item(s, depth); err != nil {
			return nil, err
		}
	}
}

// item reads `name = value` or `name { ... }`.
func (p *parser) item(s *section, depth int) error {
	name := p.word()
	if name == "" {
		return p.fail("a name is missing")
	}
	if p.count++; p.count > maxValues {
		return p.fail("more than %d values", maxValues)
	}
	p.skip()
	var err error
	switch p.peek() {
	case '=':
		p.at++
		s.values[name], err = p.value()
	case '{':
		p.at++
		if _, twice := s.sections[name]; twice {
			return p.fail("%q is there twice", name)
		}
		s.order = append(s.order, name)
		s.sections[name], err = p.section(depth + 1)
	default:
		return p.fail("%q has neither a value nor a section", name)
	}
	return err
}

// word reads a name or a bare number.
func (p *parser) word() string {
	start := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c <= ' ' || c == '=' || c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == '"' || c == '#' {
			break
		}
		p.at++
	}
	return string(p.text[start:p.at])
}

func (p *parser) value() (any, error) {
	p.skip()
	switch p.peek() {
	case '"':
		return p.quoted()
	case '[':
		p.at++
		return p.list()
	}
	w := p.word()
	if w == "" {
		return nil, p.fail("a value is missing")
	}
	if n, err := strconv.ParseInt(w, 10, 64); err == nil {
		return n, nil
	}
	return w, nil // a float, or a bare word; nothing here uses one
}

func (p *parser) quoted() (string, error) {
	p.at++
	var out []byte
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return string(out), nil
		case c == '\\' && p.at < len(p.text):
			out = append(out, p.text[p.at])
			p.at++
		default:
			out = append(out, c)
		}
	}
	return "", p.fail("a string does not end")
}

// list reads up to the closing bracket. Lists are not nested.
func (p *parser) list() ([]any, error) {
	var out []any
	for {
		p.skip()
		switch p.peek() {
		case ']':
			p.at++
			return out, nil
		case '[', 0:
			return nil, p.fail("a list does not end")
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		if p.count++; p.count > maxValues {
			return nil, p.fail("more than %d values", maxValues)
		}
		out = append(out, v)
	}
}

// number, text and list return a value, or zero if there is none of that type.
func (s *section) number(name string) int64 { n, _ := s.values[name].(int64); return n }
func (s *section) text(name string) string  { t, _ := s.values[name].(string); return t }
func (s *section) list(name string) []any   { l, _ := s.values[name].([]any); return l }

// sub returns a section, an empty one if there is none.
func (s *section) sub(name string) *section {
	if sub := s.sections[name]; sub != nil {
		return sub
	}
	return &section{}
}
