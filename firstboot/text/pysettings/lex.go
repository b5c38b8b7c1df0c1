package pysettings

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"goldsmith/firstboot/text/edit"
)

type kind int

const (
	word    kind = iota + 1 // names, keywords and numbers
	str                     // one string literal with its prefix
	op                      // operators and brackets
	newline                 // the end of a logical line
)

type token struct {
	kind  kind
	text  string
	span  edit.Span
	line  int
	depth int // of the brackets around it; a bracket counts as outside
	col   int // bytes before it on its line, counted from the last form feed
}

func (t token) is(text string) bool { return t.kind != str && t.text == text }

// A lexer finds Python's tokens. Comments, blanks and line ends inside brackets are none.
type lexer struct {
	data   []byte
	at     int
	line   int
	start  int    // of the present line
	open   []byte // brackets that wait for their partner
	tokens []token
}

func lex(data []byte) ([]token, error) {
	l := lexer{data: data, line: 1}
	if err := l.check(); err != nil {
		return nil, err
	}
	for l.at < len(data) {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	if len(l.open) > 0 {
		return nil, fmt.Errorf("line %d: a bracket is never closed", l.line)
	}
	l.logicalEnd()
	return l.tokens, nil
}

// check refuses what no Python 3 source holds, and skips the byte order mark that it may begin with.
func (l *lexer) check() error {
	for line := range edit.Lines(l.data) {
		switch {
		case bytes.ContainsAny(line.Text, "\r\x00"):
			return fmt.Errorf("line %d: a carriage return or NUL inside the line", line.Number)
		case !utf8.Valid(line.Text):
			return fmt.Errorf("line %d: not UTF-8", line.Number)
		}
	}
	if bytes.HasPrefix(l.data, []byte("\ufeff")) {
		l.at, l.start = 3, 3
	}
	return nil
}

func (l *lexer) next() error {
	switch c := l.data[l.at]; {
	case c == '\n' || l.has("\r\n"):
		l.lineEnd()
	case c == ' ' || c == '\t' || c == '\f':
		l.at++
	case c == '#':
		l.skipComment()
	case c == '\\':
		return l.continuation()
	case c == '"' || c == '\'':
		return l.string(l.at)
	case isWordByte(c) || c >= utf8.RuneSelf:
		return l.word()
	default:
		return l.operator()
	}
	return nil
}

func (l *lexer) has(s string) bool { return bytes.HasPrefix(l.data[l.at:], []byte(s)) }

func (l *lexer) lineEnd() {
	if len(l.open) == 0 {
		l.logicalEnd()
	}
	l.newLine()
}

// newLine steps over a line end.
func (l *lexer) newLine() {
	l.at += bytes.IndexByte(l.data[l.at:], '\n') + 1
	l.start = l.at
	l.line++
}

func (l *lexer) logicalEnd() {
	if n := len(l.tokens); n > 0 && l.tokens[n-1].kind != newline {
		l.tokens = append(l.tokens, token{kind: newline, text: "\n", span: edit.Span{From: l.at, To: l.at}, line: l.line})
	}
}

func (l *lexer) skipComment() {
	n := bytes.IndexByte(l.data[l.at:], '\n')
	if n < 0 {
		l.at = len(l.data)
		return
	}
	l.at += n
}

func (l *lexer) continuation() error {
	l.at++
	n := len(l.tokens)
	begun := len(l.open) > 0 || n > 0 && l.tokens[n-1].kind != newline
	if !begun || !l.has("\n") && !l.has("\r\n") {
		return errors.New("a backslash that continues nothing")
	}
	if l.newLine(); l.at == len(l.data) {
		return errors.New("a backslash that continues nothing")
	}
	return nil
}

// emit adds the token that began at from, on a line that began at start.
func (l *lexer) emit(k kind, from, start int) {
	t := token{kind: k, text: string(l.data[from:l.at]), span: edit.Span{From: from, To: l.at}, depth: len(l.open)}
	t.line = l.line - strings.Count(t.text, "\n")
	t.col = from - start - 1 - bytes.LastIndexByte(l.data[start:from], '\f')
	l.tokens = append(l.tokens, t)
}

// wordRunes are what names go on with, after PEP 3131. Compatibility characters are not folded.
var wordRunes = []*unicode.RangeTable{unicode.L, unicode.Nd, unicode.Nl, unicode.Mn, unicode.Mc, unicode.Pc}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func (l *lexer) word() error {
	from := l.at
	number := l.data[from] >= '0' && l.data[from] <= '9'
	for l.at < len(l.data) {
		r, n := utf8.DecodeRune(l.data[l.at:])
		if !unicode.In(r, wordRunes...) && (r != '.' || !number) {
			break
		}
		l.at += n
	}
	if l.at == from {
		return errors.New("a character that stands for nothing in Python")
	}
	if l.at < len(l.data) && (l.data[l.at] == '"' || l.data[l.at] == '\'') && isPrefix(l.data[from:l.at]) {
		return l.string(from)
	}
	l.emit(word, from, l.start)
	return nil
}

// isPrefix tells whether a word makes the quote behind it one string with it.
func isPrefix(b []byte) bool {
	switch strings.ToLower(string(b)) {
	case "r", "u", "b", "f", "br", "rb", "fr", "rf":
		return true
	}
	return false
}

// string reads the literal whose opening quote is at l.at and whose prefix begins at from.
func (l *lexer) string(from int) error {
	line, start := l.line, l.start
	q := string(l.data[l.at])
	if l.has(q + q + q) {
		q += q + q
	}
	for l.at += len(q); !l.has(q); {
		switch {
		case l.at >= len(l.data), len(q) == 1 && (l.has("\n") || l.has("\r\n")):
			l.line = line
			return errors.New("a string that is never closed")
		case l.has("\\\r\n"):
			l.at++
			l.newLine()
		case l.has("\\") && l.at+1 < len(l.data):
			l.at++
			l.stringByte()
		default:
			l.stringByte()
		}
	}
	l.at += len(q)
	if err := checkLiteral(string(l.data[from:l.at])); err != nil {
		return err
	}
	l.emit(str, from, start)
	return nil
}

func (l *lexer) stringByte() {
	if l.data[l.at] == '\n' {
		l.newLine()
		return
	}
	l.at++
}

// checkLiteral refuses escapes that Python refuses, and an f-string with its own quotes inside braces: where that one ends
// depends on the version of Python.
func checkLiteral(literal string) error {
	if _, _, err := decode(literal); errors.Is(err, errEscape) {
		return err
	}
	prefix := literal[:strings.IndexAny(literal, `'"`)]
	if strings.ContainsAny(prefix, "fF") && strings.Count(literal, "{") != strings.Count(literal, "}") {
		return errors.New("an f-string whose braces do not match")
	}
	return nil
}

var operators = [...]string{
	"**=", "//=", ">>=", "<<=", "...", "->", ":=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", "==", "!=", "<=", ">=",
	"**", "//", ">>", "<<", "(", ")", "[", "]", "{", "}", ":", ",", ".", ";", "+", "-", "*", "/", "%", "&", "|", "^", "~", "@", "=", "<", ">",
}

func (l *lexer) operator() error {
	for _, o := range operators {
		if !l.has(o) {
			continue
		}
		from := l.at
		if strings.Contains(")]}", o) {
			if n := len(l.open); n == 0 || l.open[n-1] != o[0] {
				return errors.New("a bracket that closes nothing")
			}
			l.open = l.open[:len(l.open)-1]
		}
		l.at += len(o)
		l.emit(op, from, l.start)
		if i := strings.Index("([{", o); i >= 0 {
			l.open = append(l.open, ")]}"[i])
		}
		return nil
	}
	return errors.New("a character that stands for nothing in Python")
}
