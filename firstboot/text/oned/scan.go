package oned

import (
	"bytes"
	"fmt"
)

// The kinds of token that OpenNebula's lexer knows (template_parser.l, the same rules from 5.8 to 7.4).
type kind int

const (
	tokEOF      kind = iota
	tokName          // [A-Za-z0-9_]+
	tokEqual         // "=", a value follows on the same line
	tokEmpty         // "=" at the end of its line: the attribute is empty
	tokComma         //
	tokOpen          // "["
	tokClose         // "]"
	tokString        // a value
	tokComment       // "#" to the end of the line; given to the parser only because editors want to know where
	tokStray         // a byte that no rule matches: the lexer prints it to its standard output and goes on
	tokCDATAEnd      // "]]>" in a value: the parser aborts without a message
)

func (k kind) String() string {
	return [...]string{"end of file", "name", "'='", "'=' at the end of a line", "','", "'['", "']'", "value", "comment",
		"stray character", "']]>'"}[k]
}

type token struct {
	kind     kind
	pos, end int    // the bytes that an edit may replace: no blanks round them
	text     string // decoded, for tokName and tokString
}

// A lexer cuts a file into tokens exactly as the generated one does: at every position the rule with the longest match
// wins, and after "=" a second set of rules is in force until the value was read.
type lexer struct {
	src     []byte
	pos     int
	inValue bool
}

func (l *lexer) next() token {
	if l.inValue {
		return l.value()
	}
	l.skip(isBlankOrNewline)
	if l.pos == len(l.src) {
		return token{kind: tokEOF, pos: l.pos, end: l.pos}
	}
	switch c := l.src[l.pos]; {
	case isNameByte(c):
		return l.name()
	case c == '=':
		return l.equal()
	case c == ',':
		return l.emit(tokComma, 1)
	case c == ']':
		return l.emit(tokClose, 1)
	case c == '#':
		return l.comment()
	}
	return l.emit(tokStray, 1)
}

// emit makes a token of the next n bytes.
func (l *lexer) emit(k kind, n int) token {
	t := token{kind: k, pos: l.pos, end: l.pos + n}
	l.pos = t.end
	return t
}

func (l *lexer) name() token {
	n := span(l.src[l.pos:], isNameByte)
	t := l.emit(tokName, n)
	t.text = string(bytes.ToUpper(l.src[t.pos:t.end]))
	return t
}

func (l *lexer) equal() token {
	t := l.emit(tokEqual, 1)
	l.skip(isBlank)
	if l.pos < len(l.src) && l.src[l.pos] == '\n' {
		l.pos++
		t.kind = tokEmpty
		return t
	}
	l.inValue = true
	return t
}

// comment reads "# ..." with its newline. Without one the rule does not match, and the "#" is a stray byte.
func (l *lexer) comment() token {
	n := bytes.IndexByte(l.src[l.pos:], '\n')
	if n < 0 {
		return l.emit(tokStray, 1)
	}
	t := l.emit(tokComment, n)
	l.pos++
	return t
}

// value reads what may stand after "=": a vector's bracket, a quoted string or a bare word. Anything else is skipped, byte
// by byte, which is why "A = # text" sets A to "text".
func (l *lexer) value() token {
	if l.pos == len(l.src) {
		return token{kind: tokEOF, pos: l.pos, end: l.pos}
	}
	rest := l.src[l.pos:]
	bracket, quoted, bare := bracketLen(rest), quotedLen(rest), span(rest, isBareByte)
	if line := lineLen(rest); line >= max(bracket, quoted, bare) && bytes.Contains(rest[:line], []byte("]]>")) {
		return l.emit(tokCDATAEnd, line)
	}
	if bracket > 0 {
		l.skip(isBlank)
		l.inValue = false
		return l.emit(tokOpen, 1)
	}
	if quoted == 0 && bare == 0 {
		return l.emit(tokStray, 1)
	}
	l.inValue = false
	t := l.emit(tokString, max(quoted, bare))
	raw := rest[:t.end-t.pos]
	if quoted >= bare {
		raw = raw[1 : len(raw)-1]
	}
	t.text = string(bytes.ReplaceAll(raw, []byte(`\"`), []byte(`"`)))
	return t
}

func (l *lexer) skip(f func(byte) bool) { l.pos += span(l.src[l.pos:], f) }

// bracketLen is the length of the rule that opens a vector, blanks on both sides included, 0 where it does not match.
func bracketLen(b []byte) int {
	n := span(b, isBlank)
	if n == len(b) || b[n] != '[' {
		return 0
	}
	return n + 1 + span(b[n+1:], isBlankOrNewline)
}

func lineLen(b []byte) int {
	if n := bytes.IndexByte(b, '\n'); n >= 0 {
		return n
	}
	return len(b)
}

// quotedLen is the length of the quoted string that b starts with, 0 when there is none. A quote after a backslash does
// not end it, unless no other one follows in the whole file.
func quotedLen(b []byte) int {
	if len(b) == 0 || b[0] != '"' {
		return 0
	}
	last := 0
	for i := 1; i < len(b); i++ {
		if b[i] != '"' {
			continue
		}
		last = i + 1
		if b[i-1] != '\\' {
			return last
		}
	}
	return last
}

// span counts the bytes at the start of b for which f holds.
func span(b []byte, f func(byte) bool) int {
	for i, c := range b {
		if !f(c) {
			return i
		}
	}
	return len(b)
}

func isBlank(c byte) bool          { return c == ' ' || c == '\t' }
func isBlankOrNewline(c byte) bool { return isBlank(c) || c == '\n' }

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func isBareByte(c byte) bool {
	return !isBlankOrNewline(c) && bytes.IndexByte([]byte("=#,[]"), c) < 0
}

// quote writes a value so that the lexer reads it back.
func quote(value string) (string, error) {
	switch {
	case bytes.Contains([]byte(value), []byte("]]>")):
		return "", fmt.Errorf("cannot write value %q: OpenNebula's parser gives up on ]]>", value)
	case bytes.IndexByte([]byte(value), 0) >= 0:
		return "", fmt.Errorf("cannot write value %q: it holds a NUL byte", value)
	case bytes.Contains([]byte(value), []byte("\r\n")):
		return "", fmt.Errorf("cannot write value %q: it holds a carriage return", value)
	case len(value) > 0 && value[len(value)-1] == '\\':
		if bareword(value) {
			return value, nil
		}
		return "", fmt.Errorf("cannot write value %q: a quoted value cannot end in a backslash", value)
	}
	return `"` + string(bytes.ReplaceAll([]byte(value), []byte(`"`), []byte(`\"`))) + `"`, nil
}

// bareword says whether value can stand without quotes and mean itself.
func bareword(value string) bool {
	return value != "" && value[0] != '"' && span([]byte(value), isBareByte) == len(value) &&
		!bytes.Contains([]byte(value), []byte(`\"`))
}
