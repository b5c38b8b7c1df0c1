// Package dhclient reads dhclient.conf(5) of ISC dhclient 4, statement by statement, and says where each word stands, so
// that single words and statements can be replaced without touching anything else.
//
// A statement is a run of words that ends with ";", or that a block in braces follows. "#" begins a comment outside of
// quotes. In quotes, a backslash escapes the next character.
package dhclient

import (
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text/edit"
)

// A Word is one word or quoted string of a statement.
type Word struct {
	Text string // without quotes; escapes are left as they are
	At   edit.Span
}

// A Statement is one statement, or the head of a block.
type Statement struct {
	Words []Word
	At    edit.Span // from the first word to the ";" or "{", inclusive
	Block bool      // a block follows
}

// Parse returns all statements of a file, those inside blocks too, in file order.
func Parse(data []byte) ([]Statement, error) {
	p := parser{data: data, line: 1}
	for p.at < len(data) {
		if err := p.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
	}
	switch {
	case p.depth > 0:
		return nil, errors.New("a block is not closed")
	case len(p.words) > 0:
		return nil, errors.New("the last statement has no semicolon")
	}
	return p.out, nil
}

type parser struct {
	data            []byte
	at, line, depth int
	words           []Word
	out             []Statement
}

// next reads one token.
func (p *parser) next() error {
	switch c := p.data[p.at]; c {
	case '\n':
		p.line++
		p.at++
	case ' ', '\t', '\r', '\v', '\f':
		p.at++
	case '#':
		for p.at < len(p.data) && p.data[p.at] != '\n' {
			p.at++
		}
	case ';', '{':
		return p.end(c == '{')
	case '}':
		if p.depth == 0 || len(p.words) > 0 {
			return errors.New("a brace where no statement ends")
		}
		p.depth--
		p.at++
	case '"':
		return p.quoted()
	default:
		p.bare()
	}
	return nil
}

func (p *parser) end(block bool) error {
	p.at++
	if len(p.words) == 0 {
		if block {
			return errors.New("a block without a name")
		}
		return nil // "};" is common, and an empty statement does no harm
	}
	p.out = append(p.out, Statement{Words: p.words, At: edit.Span{From: p.words[0].At.From, To: p.at}, Block: block})
	p.words = nil
	if block {
		p.depth++
	}
	return nil
}

func (p *parser) quoted() error {
	from := p.at
	for p.at++; p.at < len(p.data); p.at++ {
		switch p.data[p.at] {
		case '\\':
			p.at++
		case '\n':
			return errors.New("a quote is not closed on its line")
		case '"':
			p.at++
			p.words = append(p.words, Word{string(p.data[from+1 : p.at-1]), edit.Span{From: from, To: p.at}})
			return nil
		}
	}
	p.at = len(p.data)
	return errors.New("a quote is not closed")
}

func (p *parser) bare() {
	from := p.at
	for p.at < len(p.data) && strings.IndexByte(" \t\r\n\v\f#;{}\"", p.data[p.at]) < 0 {
		p.at++
	}
	p.words = append(p.words, Word{string(p.data[from:p.at]), edit.Span{From: from, To: p.at}})
}
