package netplan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	errScalar = errors.New("not a value of the plain kind: quote it, on one line")
	errKey    = errors.New(`not of the form "key: value"`)
	errQuote  = errors.New("a quote that is not closed on its line")
	errEscape = errors.New("an escape that is not understood here")
)

// readKey reads "key:" at the start of s. length is that of the key as written, behind the offset after the colon.
func readKey(s string, inFlow bool) (key string, length, behind int, err error) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		key, length, err = readQuoted(s)
	} else {
		key, length, err = readPlain(s, inFlow)
	}
	if err != nil {
		return "", 0, 0, err
	}
	rest := strings.TrimLeft(s[length:], " ")
	behind = len(s) - len(rest) + 1
	if !strings.HasPrefix(rest, ":") || len(rest) > 1 && rest[1] != ' ' || key == "<<" {
		return "", 0, 0, errKey
	}
	return key, length, behind, nil
}

// readScalar reads a value at the start of s and returns its length as written.
func readScalar(s string, inFlow bool) (value string, length int, err error) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		return readQuoted(s)
	}
	value, length, err = readPlain(s, inFlow)
	if err == nil && strings.HasPrefix(strings.TrimLeft(s[length:], " "), ":") {
		err = errors.New("a colon behind a value: quote it")
	}
	return value, length, err
}

// readPlain reads up to a colon or number sign that ends a plain scalar, in a flow collection also up to its marks.
func readPlain(s string, inFlow bool) (string, int, error) {
	if s == "" || strings.IndexByte("?:,[]{}#&*!|>%@`", s[0]) >= 0 || s[0] == '-' && (len(s) < 2 || !isWord(s[1])) {
		return "", 0, errScalar
	}
	end := len(s)
	for i := range len(s) {
		next := byte(' ')
		if i+1 < len(s) {
			next = s[i+1]
		}
		if s[i] == ':' && next == ' ' || s[i] == ' ' && next == '#' || inFlow && strings.IndexByte(",[]{}", s[i]) >= 0 {
			end = i
			break
		}
		if inFlow && (s[i] == '?' || s[i] == ':' && strings.IndexByte(",[]{}", next) >= 0) {
			return "", 0, errScalar
		}
	}
	value := strings.TrimRight(s[:end], " ")
	return value, len(value), nil
}

func isWord(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func readQuoted(s string) (value string, length int, err error) {
	var b strings.Builder
	q := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case q == '\'' && strings.HasPrefix(s[i:], "''"):
			b.WriteByte('\'')
			i++
		case s[i] == q:
			return b.String(), i + 1, nil
		case q == '"' && s[i] == '\\':
			n, err := escape(&b, s[i+1:])
			if err != nil {
				return "", 0, err
			}
			i += n
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0, errQuote
}

var simpleEscapes = map[byte]string{'\\': `\`, '"': `"`, '/': "/", 'n': "\n", 'r': "\r", 't': "\t", '0': "\x00"}

// escape writes what the escape stands for that rest begins with, the backslash removed, and returns its length.
func escape(b *strings.Builder, rest string) (int, error) {
	if rest == "" {
		return 0, errQuote
	}
	if s, ok := simpleEscapes[rest[0]]; ok {
		b.WriteString(s)
		return 1, nil
	}
	n := map[byte]int{'x': 2, 'u': 4}[rest[0]]
	if n == 0 || len(rest) <= n {
		return 0, errEscape
	}
	v, err := strconv.ParseUint(rest[1:1+n], 16, 32)
	if err != nil || !utf8.ValidRune(rune(v)) {
		return 0, errEscape
	}
	b.WriteRune(rune(v))
	return 1 + n, nil
}

// spell writes a value as the one that begins with first is written: in its quotes, or plain where that is safe.
func spell(value string, first byte) (string, error) {
	if !utf8.ValidString(value) {
		return "", errors.New("cannot write text that is not UTF-8 into YAML")
	}
	bare := !strings.ContainsFunc(value, unprintable)
	switch {
	case first == '\'' && bare:
		return "'" + strings.ReplaceAll(value, "'", "''") + "'", nil
	case first != '"' && first != '\'' && isPlain(value):
		return value, nil
	}
	var b strings.Builder
	for _, r := range value {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case unprintable(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`, nil
}

// isPlain tells whether a value needs no quotes anywhere, and is no number of base 60 for a reader of YAML 1.1, as
// 10:20:30:40:50:51 would be.
func isPlain(value string) bool {
	if value == "" || !isWord(value[0]) || strings.HasSuffix(value, ":") || strings.EqualFold(value, "null") {
		return false
	}
	sixty := strings.Contains(value, ":") && strings.Trim(value, "0123456789:") == ""
	return !sixty && !strings.ContainsFunc(value, func(r rune) bool {
		return r >= 0x80 || !isWord(byte(r)) && !strings.ContainsRune("_./:@%+-", r)
	})
}
