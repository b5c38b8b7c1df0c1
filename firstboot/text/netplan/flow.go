package netplan

import (
	"bytes"
	"errors"

	"goldsmith/firstboot/text/edit"
)

// A flow reads [a, b] and {a: b}.
type flow struct {
	data   []byte
	at     int
	line   int
	column int // lines that go on are indented deeper
	depth  int
}

var errFlow = errors.New("not a flow collection of the plain kind")

func (f *flow) collection() (*node, error) {
	if f.depth++; f.depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	defer func() { f.depth-- }()
	n := &node{kind: sequence, flow: true, line: f.line, span: edit.Span{From: f.at}}
	closing := byte(']')
	if f.data[f.at] == '{' {
		n.kind, closing = mapping, '}'
	}
	f.at++
	for {
		if err := f.blanks(); err != nil {
			return nil, err
		}
		if f.data[f.at] == closing {
			f.at++
			n.span.To = f.at
			return n, nil
		}
		if err := f.entry(n); err != nil {
			return nil, err
		}
		if err := f.blanks(); err != nil {
			return nil, err
		}
		switch f.data[f.at] {
		case ',':
			f.at++
		case closing:
		default:
			return nil, errFlow
		}
	}
}

func (f *flow) entry(n *node) (err error) {
	if n.kind == sequence {
		item, err := f.value()
		n.items = append(n.items, item)
		return err
	}
	key, length, behind, err := readKey(f.rest(), true)
	if err != nil {
		return err
	}
	if n.member(key) != nil {
		return errors.New("a key that the mapping has already")
	}
	m := member{key: key, line: f.line, at: edit.Span{From: f.at, To: f.at + length}}
	f.at += behind
	if rest := f.rest(); rest != "" && rest[0] != ' ' {
		return errFlow
	}
	if err := f.blanks(); err != nil {
		return err
	}
	m.value, err = f.value()
	n.members = append(n.members, m)
	return err
}

func (f *flow) value() (*node, error) {
	if c := f.data[f.at]; c == '[' || c == '{' {
		return f.collection()
	}
	rest := f.rest()
	value, length, err := readScalar(rest, true)
	if err != nil {
		return nil, err
	}
	n := &node{kind: scalar, value: value, line: f.line, span: edit.Span{From: f.at, To: f.at + length}}
	f.at += length
	return n, nil
}

// rest returns what is left of the line.
func (f *flow) rest() string {
	rest := f.data[f.at:]
	if n := bytes.IndexByte(rest, '\n'); n >= 0 {
		rest = bytes.TrimSuffix(rest[:n], []byte("\r"))
	}
	return string(rest)
}

// blanks goes on to the next byte that means something.
func (f *flow) blanks() error {
	for {
		rest := f.rest()
		if !isEnd(rest) && rest[0] != '#' {
			f.at += len(rest) - len(bytes.TrimLeft([]byte(rest), " "))
			return nil
		}
		if !isEnd(rest) {
			return errFlow // a number sign right behind something
		}
		n := bytes.IndexByte(f.data[f.at:], '\n')
		if n < 0 {
			return errors.New("a flow collection that is never closed")
		}
		f.at += n + 1
		f.line++
		if err := f.indented(); err != nil {
			return err
		}
	}
}

// indented checks the line that has just begun.
func (f *flow) indented() error {
	rest := f.rest()
	body := bytes.TrimLeft([]byte(rest), " ")
	if len(body) == 0 {
		return nil
	}
	if len(rest)-len(body) <= f.column {
		return errors.New("a flow collection that goes on without an indent")
	}
	return nil
}
