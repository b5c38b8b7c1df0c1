package oned

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrSyntax is wrapped by every error about a file that oned itself would refuse, or start with and then die.
var ErrSyntax = errors.New("syntax error")

// An Attr is one attribute of a file: NAME = value, or NAME = [ pairs ].
type Attr struct {
	Name   string // upper case, as oned loads it
	Value  string // decoded; empty for a vector
	Vector bool
	Pairs  []Pair
	Line   int // 1-based line of the name

	start, end         int // from the name to the last byte of the value or the closing bracket
	valueAt, valueEnd  int // the raw value; equal for NAME = <nothing>
	open, closeBracket int
}

// A Pair is one NAME = value inside a vector.
type Pair struct {
	Name  string // upper case
	Value string
	Line  int

	start             int
	valueAt, valueEnd int
	comma             int // offset of the comma behind it, -1 for the last one
}

// Get returns the pair's value that oned uses: the first of that name.
func (a Attr) Get(pair string) (string, bool) {
	i := a.index(pair)
	if i < 0 {
		return "", false
	}
	return a.Pairs[i].Value, true
}

func (a Attr) index(pair string) int {
	for i, p := range a.Pairs {
		if p.Name == strings.ToUpper(pair) {
			return i
		}
	}
	return -1
}

// A File is a parsed file. It remembers where every value stands, so that an edit replaces those bytes and no others.
type File struct {
	Attrs []Attr

	src      []byte
	comments []token // those between attributes
	strays   []token
}

// Parse reads a file as OpenNebula's template parser does. Beyond that it refuses what the parser takes but oned dies of or
// misreads: an empty vector, a NUL byte, lines that end in CR LF (the CR becomes part of the value, quotes and all).
func Parse(data []byte) (*File, error) {
	p := &parser{lexer: lexer{src: data}, file: &File{src: data}}
	if i := bytes.Index(data, []byte("\r\n")); i >= 0 {
		return nil, p.fail(i, "the line ends in CR LF, and the CR would become part of its value\nhint: sed -i 's/\\r$//' FILE")
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, p.fail(i, "NUL byte")
	}
	for {
		t := p.token(&p.file.comments)
		if t.kind == tokEOF {
			return p.file, nil
		}
		if t.kind != tokName {
			return nil, p.unexpected(t, tokName)
		}
		a, err := p.attr(t)
		if err != nil {
			return nil, err
		}
		p.file.Attrs = append(p.file.Attrs, a)
	}
}

type parser struct {
	lexer
	file           *File
	counted, lines int // bytes and newlines before the last line that was asked for
}

// token returns the next token that the grammar sees, and collects the others.
func (p *parser) token(comments *[]token) token {
	for {
		switch t := p.next(); t.kind {
		case tokComment:
			if comments != nil {
				*comments = append(*comments, t)
			}
		case tokStray:
			p.file.strays = append(p.file.strays, t)
		default:
			return t
		}
	}
}

func (p *parser) attr(name token) (Attr, error) {
	a := Attr{Name: name.text, Line: p.line(name.pos), start: name.pos}
	eq := p.token(nil)
	switch eq.kind {
	case tokEmpty:
		a.valueAt, a.valueEnd, a.end = eq.end, eq.end, eq.end
		return a, nil
	case tokEqual:
	default:
		return a, p.unexpected(eq, tokEqual)
	}
	switch v := p.token(nil); v.kind {
	case tokString:
		a.Value, a.valueAt, a.valueEnd, a.end = v.text, v.pos, v.end, v.end
		return a, nil
	case tokOpen:
		a.Vector, a.open = true, v.pos
		return a, p.pairs(&a)
	default:
		return a, p.unexpected(v, tokString)
	}
}

// pairs reads a vector from behind its opening bracket to its closing one.
func (p *parser) pairs(a *Attr) error {
	for {
		pair, err := p.pair(a)
		if err != nil {
			return err
		}
		t := p.token(nil)
		switch t.kind {
		case tokComma:
			pair.comma = t.pos
		case tokClose:
			a.closeBracket, a.end = t.pos, t.end
		default:
			return p.unexpected(t, tokComma)
		}
		a.Pairs = append(a.Pairs, pair)
		if t.kind == tokClose {
			return nil
		}
	}
}

func (p *parser) pair(a *Attr) (Pair, error) {
	name := p.token(nil)
	switch {
	case name.kind == tokClose && len(a.Pairs) == 0:
		return Pair{}, p.fail(name.pos, "%s is an empty vector, oned dies of it", a.Name)
	case name.kind == tokClose:
		return Pair{}, p.fail(name.pos, "comma before the closing bracket of %s", a.Name)
	case name.kind != tokName:
		return Pair{}, p.unexpected(name, tokName)
	}
	if eq := p.token(nil); eq.kind != tokEqual {
		return Pair{}, p.unexpected(eq, tokEqual)
	}
	v := p.token(nil)
	if v.kind != tokString {
		return Pair{}, p.unexpected(v, tokString)
	}
	return Pair{Name: name.text, Value: v.text, Line: p.line(name.pos), start: name.pos, valueAt: v.pos, valueEnd: v.end,
		comma: -1}, nil
}

func (p *parser) unexpected(t token, want kind) error {
	if t.kind == tokCDATAEnd {
		return p.fail(t.pos, "]]> in a value, OpenNebula's parser gives up on it")
	}
	return p.fail(t.pos, "unexpected %v, expecting %v", t.kind, want)
}

func (p *parser) fail(pos int, format string, args ...any) error {
	return fmt.Errorf("%w at line %d: %s", ErrSyntax, p.line(pos), fmt.Sprintf(format, args...))
}

// line is the 1-based number of the line that holds the byte at pos. It counts on from the last answer.
func (p *parser) line(pos int) int {
	if pos < p.counted {
		p.counted, p.lines = 0, 0
	}
	p.lines += bytes.Count(p.src[p.counted:pos], []byte("\n"))
	p.counted = pos
	return p.lines + 1
}
