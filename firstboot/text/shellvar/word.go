package shellvar

import (
	"bytes"
	"errors"
	"strings"
)

// Why a value cannot be known without a shell. ErrExpansion is for formats that look deeper into a value: the rest of it may
// still say something.
var (
	ErrExpansion = errors.New("the value holds a shell expansion or command")
	errTilde     = errors.New("the value begins with a tilde, which a shell expands")
	errANSI      = errors.New("the value is in $'...' quotes, which not all readers know")
)

var errOpen = errors.New("a quote or bracket is not closed")

// A reader takes one word from data at pos. It decodes the word where it can and goes over it where it cannot.
type reader struct {
	data  []byte
	pos   int
	value []byte
	err   error // why value is not known
}

// word reads up to the next blank, line end or operator outside quotes. An error means that the word has no end.
func (r *reader) word() error {
	for r.pos < len(r.data) {
		c := r.data[r.pos]
		switch {
		case strings.IndexByte(" \t\n;&|()<>", c) >= 0 || r.at("\r\n"):
			return nil
		case c == '\'':
			if err := r.single(); err != nil {
				return err
			}
		case c == '"':
			if err := r.double(); err != nil {
				return err
			}
		case c == '\\':
			r.escape()
		case c == '$' || c == '`':
			if err := r.expansion(false); err != nil {
				return err
			}
		default:
			r.take()
		}
	}
	return nil
}

func (r *reader) at(s string) bool { return bytes.HasPrefix(r.data[r.pos:], []byte(s)) }

func (r *reader) take() {
	r.value = append(r.value, r.data[r.pos])
	r.pos++
}

// skipTo moves behind the next end.
func (r *reader) skipTo(end byte) error {
	n := bytes.IndexByte(r.data[r.pos:], end)
	if n < 0 {
		return errOpen
	}
	r.pos += n + 1
	return nil
}

func (r *reader) single() error {
	from := r.pos + 1
	r.pos = from
	if err := r.skipTo('\''); err != nil {
		return err
	}
	r.value = append(r.value, r.data[from:r.pos-1]...)
	return nil
}

// escape reads a backslash outside quotes.
func (r *reader) escape() {
	r.pos++
	switch {
	case r.lineEnd():
	case r.pos < len(r.data):
		r.take()
	default:
		r.value = append(r.value, '\\')
	}
}

// lineEnd steps over a line end, if there is one.
func (r *reader) lineEnd() bool {
	for _, end := range []string{"\n", "\r\n"} {
		if r.at(end) {
			r.pos += len(end)
			return true
		}
	}
	return false
}

func (r *reader) double() error {
	r.pos++
	for r.pos < len(r.data) {
		switch c := r.data[r.pos]; c {
		case '"':
			r.pos++
			return nil
		case '\\':
			r.pos++
			if r.lineEnd() {
				continue
			}
			if r.pos < len(r.data) && strings.IndexByte("$`\"\\", r.data[r.pos]) < 0 {
				r.value = append(r.value, '\\')
			}
			if r.pos < len(r.data) {
				r.take()
			}
		case '$', '`':
			if err := r.expansion(true); err != nil {
				return err
			}
		default:
			r.take()
		}
	}
	return errOpen
}

// expansion goes over what begins with $ or a backquote. A $ before anything else stands for itself; before a quote it does
// so only between double quotes.
func (r *reader) expansion(quoted bool) error {
	if r.data[r.pos] == '`' {
		r.err = ErrExpansion
		return r.quotedBy('`')
	}
	rest := r.data[r.pos+1:]
	switch {
	case len(rest) == 0 || quoted && (rest[0] == '"' || rest[0] == '\''):
	case rest[0] == '\'':
		r.err = errANSI
		r.pos++
		return r.quotedBy('\'')
	case rest[0] == '(':
		r.err = ErrExpansion
		r.pos++
		return r.bracket('(', ')')
	case rest[0] == '{':
		r.err = ErrExpansion
		r.pos++
		return r.bracket('{', '}')
	case nameLength(rest[:1]) == 1 || strings.IndexByte("0123456789?$!#@*-\"[", rest[0]) >= 0:
		r.err = ErrExpansion
	}
	r.take()
	return nil
}

// quotedBy goes over what the quote at pos opens; a backslash protects.
func (r *reader) quotedBy(quote byte) error {
	for r.pos++; r.pos < len(r.data); r.pos++ {
		switch r.data[r.pos] {
		case '\\':
			r.pos++
		case quote:
			r.pos++
			return nil
		}
	}
	return errOpen
}

// bracket goes over what the bracket at pos opens, with all that is nested and quoted inside.
func (r *reader) bracket(left, right byte) error {
	inner := reader{data: r.data, pos: r.pos}
	for depth := 0; inner.pos < len(inner.data); {
		switch c := inner.data[inner.pos]; c {
		case left:
			depth++
			inner.pos++
		case right:
			depth--
			inner.pos++
		default:
			if err := inner.inBracket(c); err != nil {
				return err
			}
		}
		if depth == 0 {
			r.pos = inner.pos
			return nil
		}
	}
	return errOpen
}

// inBracket steps over one character, escape or quoted text.
func (r *reader) inBracket(c byte) error {
	switch c {
	case '\'':
		return r.single()
	case '"':
		return r.double()
	case '`':
		return r.quotedBy('`')
	case '\\':
		r.escape()
	default:
		r.pos++
	}
	return nil
}
