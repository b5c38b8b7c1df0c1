package apache

import (
	"bytes"
	"strings"
)

// blanks are what httpd's apr_isspace takes for blanks.
const blanks = " \t\n\v\f\r"

func trim(b []byte) []byte { return bytes.Trim(b, blanks) }

// squeeze makes every run of blanks one space.
func squeeze(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(blanks, r) }), " ")
}

// Words splits the text of arguments as httpd does (ap_getword_conf): at blanks outside quotes, quotes removed.
func Words(args string) []string {
	var all []string
	for rest := strings.TrimLeft(args, blanks); rest != ""; {
		n := wordEnd(rest)
		all = append(all, unquote(rest[:n]))
		rest = strings.TrimLeft(rest[n:], blanks)
	}
	return all
}

// MapWords returns the text of arguments with each word replaced by what to makes of it. Blanks and quotes stay.
func MapWords(args string, to func(word string) string) string {
	var b strings.Builder
	for args != "" {
		body := strings.TrimLeft(args, blanks)
		b.WriteString(args[:len(args)-len(body)])
		n := wordEnd(body)
		b.WriteString(mapWord(body[:n], to))
		args = body[n:]
	}
	return b.String()
}

func mapWord(written string, to func(string) string) string {
	word := unquote(written)
	if written == "" {
		return ""
	}
	changed := to(word)
	switch {
	case changed == word:
		return written
	case written[0] == '"' || written[0] == '\'':
		return quote(changed, written[0])
	case changed == "" || strings.ContainsAny(changed, blanks+`\`) || changed[0] == '"' || changed[0] == '\'':
		return quote(changed, '"')
	}
	return changed
}

// wordEnd returns the length of the word at the start of s, its quotes included. A quote that is never closed reaches to
// the end, as in httpd.
func wordEnd(s string) int {
	if s == "" {
		return 0
	}
	q := s[0]
	if q != '"' && q != '\'' {
		if n := strings.IndexAny(s, blanks); n >= 0 {
			return n
		}
		return len(s)
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == q:
			return i + 1
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == q || s[i+1] == '\\'):
			i++
		}
	}
	return len(s)
}

// unquote is httpd's substring_conf behind ap_getword_conf.
func unquote(word string) string {
	q := byte(0)
	if word != "" && (word[0] == '"' || word[0] == '\'') {
		q, word = word[0], word[1:]
		if closed(word, q) {
			word = word[:len(word)-1]
		}
	}
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+1 < len(word) && (word[i+1] == '\\' || q != 0 && word[i+1] == q) {
			i++
		}
		b.WriteByte(word[i])
	}
	return b.String()
}

// closed tells whether the last byte of a word that began with the quote q is the quote that ends it.
func closed(rest string, q byte) bool {
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == q:
			return i == len(rest)-1
		case rest[i] == '\\' && i+1 < len(rest) && (rest[i+1] == q || rest[i+1] == '\\'):
			i++
		}
	}
	return false
}

func quote(word string, q byte) string {
	word = strings.ReplaceAll(word, `\`, `\\`)
	return string(q) + strings.ReplaceAll(word, string(q), `\`+string(q)) + string(q)
}

// decode returns the value of arguments: the word where they are one closed quoted word, else the text itself.
func decode(args string) string {
	if args == "" || args[0] != '"' && args[0] != '\'' || !closed(args[1:], args[0]) {
		return args
	}
	return unquote(args)
}
