package pysettings

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A style is how a string literal is written.
type style struct {
	prefix string // as written, such as "u" or "R"
	quote  string // one quote or three
}

func (s style) raw() bool { return strings.ContainsAny(s.prefix, "rR") }

var (
	errNotText   = errors.New("bytes and f-strings hold no plain text")
	errEscape    = errors.New("an escape that Python refuses")
	errSurrogate = errors.New("an escape that stands for no character")
	errNamed     = errors.New(`a character by name (\N) is not understood`)
)

// decode returns the text of one string literal.
func decode(literal string) (string, style, error) {
	n := strings.IndexAny(literal, `'"`)
	if n < 0 {
		return "", style{}, errNotText
	}
	s := style{prefix: literal[:n], quote: literal[n : n+1]}
	if q := strings.Repeat(s.quote, 3); len(literal) >= n+6 && strings.HasPrefix(literal[n:], q) {
		s.quote = q
	}
	if strings.ContainsAny(s.prefix, "bBfF") {
		return "", s, errNotText
	}
	body := strings.ReplaceAll(literal[n+len(s.quote):len(literal)-len(s.quote)], "\r\n", "\n")
	if s.raw() {
		return body, s, nil
	}
	value, err := unescape(body)
	return value, s, err
}

func unescape(body string) (string, error) {
	var b strings.Builder
	for {
		n := strings.IndexByte(body, '\\')
		if n < 0 || n+1 == len(body) {
			b.WriteString(body)
			return b.String(), nil
		}
		b.WriteString(body[:n])
		used, err := escape(&b, body[n+1:])
		if err != nil {
			return "", err
		}
		body = body[n+1+used:]
	}
}

var simpleEscapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// escape writes what the escape stands for that rest begins with, the backslash removed, and returns its length.
func escape(b *strings.Builder, rest string) (int, error) {
	c := rest[0]
	if s, ok := simpleEscapes[c]; ok {
		b.WriteString(s)
		return 1, nil
	}
	switch c {
	case 'x':
		return digits(b, rest, 1, 2, 16)
	case 'u':
		return digits(b, rest, 1, 4, 16)
	case 'U':
		return digits(b, rest, 1, 8, 16)
	case 'N':
		return 0, errNamed
	}
	if c >= '0' && c <= '7' {
		n := 1
		for n < 3 && n < len(rest) && rest[n] >= '0' && rest[n] <= '7' {
			n++
		}
		return digits(b, rest, 0, n, 8)
	}
	b.WriteByte('\\')
	return 0, nil
}

func digits(b *strings.Builder, rest string, from, n, base int) (int, error) {
	if len(rest) < from+n {
		return 0, errEscape
	}
	v, err := strconv.ParseUint(rest[from:from+n], base, 32)
	switch {
	case err != nil || v > unicode.MaxRune:
		return 0, errEscape
	case v >= 0xd800 && v < 0xe000:
		return 0, errSurrogate
	}
	b.WriteRune(rune(v))
	return from + n, nil
}

// spell writes value in the style; a raw string becomes a plain one where raw has no spelling for it. end is the line end
// of the file, for strings of several lines.
func (s style) spell(value, end string) (string, error) {
	if !utf8.ValidString(value) {
		return "", errors.New("cannot write text that is not UTF-8 into Python source")
	}
	if s.raw() && !s.fitsRaw(value) {
		s.prefix = ""
	}
	var b strings.Builder
	b.WriteString(s.prefix + s.quote)
	for _, r := range value {
		switch {
		case r == '\n' && len(s.quote) == 3:
			b.WriteString(end)
		case s.raw():
			b.WriteRune(r)
		default:
			b.WriteString(s.spellRune(r))
		}
	}
	b.WriteString(s.quote)
	return b.String(), nil
}

func (s style) spellRune(r rune) string {
	switch {
	case r == '\\' || r == rune(s.quote[0]):
		return `\` + string(r)
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r < 0x20 || r == 0x7f:
		return fmt.Sprintf(`\x%02x`, r)
	}
	return string(r)
}

func (s style) fitsRaw(value string) bool {
	if strings.HasSuffix(value, `\`) || strings.Contains(value, s.quote[:1]) || strings.Contains(value, "\n") && len(s.quote) == 1 {
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r != '\n' && (r < 0x20 || r == 0x7f) })
}
