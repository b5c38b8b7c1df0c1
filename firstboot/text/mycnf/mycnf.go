// Package mycnf edits MariaDB's option files (my.cnf and what it includes; mysys/my_default.c is their law):
//
//   - "[group]" begins a group; an option before the first group is an error; a group may come again;
//   - "name", "name=value", "name = value"; in names "-" and "_" are the same;
//   - "#" and ";" begin a comment at the start of a line; "#" does so behind a value, too, outside quotes;
//   - "!include file" and "!includedir dir" stand on lines of their own and are left alone;
//   - a value may be in quotes, and a backslash escapes in it.
//
// A key is "[group] name", listed with "-". Where a name stands several times in one group, the last one counts.
package mycnf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single options. A new one goes to the end of its group, a new group to the end of the file. An
// option without a value reads as "".
var Codec = edit.Format{Name: "mycnf", Scan: scan, ID: id, Encode: encode, Add: add}.Codec()

func id(key string) (string, error) {
	group, name, ok := strings.Cut(strings.TrimPrefix(key, "["), "] ")
	if !ok || !strings.HasPrefix(key, "[") || group == "" || name == "" || strings.ContainsAny(key, "\r\n=#;") {
		return "", fmt.Errorf("cannot use %q as a key: it has the form [group] name", key)
	}
	return "[" + group + "] " + strings.ReplaceAll(name, "_", "-"), nil
}

func scan(data []byte) ([]edit.Item, error) {
	var items []edit.Item
	group := ""
	for l := range edit.Lines(data) {
		text := strings.Trim(string(l.Text), " \t")
		switch {
		case text == "" || strings.ContainsAny(text[:1], "#;!"):
		case text[0] == '[':
			name, _, ok := strings.Cut(text[1:], "]")
			if !ok || name == "" {
				return nil, fmt.Errorf("line %d: a group without an end", l.Number)
			}
			group = strings.Trim(name, " \t")
		case group == "":
			return nil, fmt.Errorf("line %d: an option before the first group", l.Number)
		default:
			it, err := option(data, group, l)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", l.Number, err)
			}
			items = append(items, it)
		}
	}
	return items, nil
}

// option reads "name" or "name = value # comment".
func option(data []byte, group string, l edit.Line) (edit.Item, error) {
	name, _, valued := strings.Cut(string(l.Text), "=")
	if !valued {
		name, _, _ = strings.Cut(name, "#")
	}
	short := strings.Trim(name, " \t")
	if short == "" || strings.ContainsAny(short, "\r[]") {
		return edit.Item{}, errors.New("no option's name")
	}
	key, err := id("[" + group + "] " + short)
	if err != nil {
		return edit.Item{}, errors.New("no option's name")
	}
	it := edit.Item{Key: key, Line: l.Number}
	from := l.Start + len(name)
	it.Text = edit.Span{From: from, To: from}
	if !valued {
		end := l.Start + len(strings.TrimRight(name, " \t"))
		it.Text = edit.Span{From: end, To: end}
		return it, nil
	}
	from++
	for from < l.Start+len(l.Text) && (data[from] == ' ' || data[from] == '\t') {
		from++
	}
	it.Text = edit.Span{From: from, To: from + valueEnd(data[from:l.Start+len(l.Text)])}
	it.Value, it.Err = decode(string(it.Text.Of(data)))
	return it, nil
}

// valueEnd returns the length of the value: to the comment outside quotes, without trailing blanks.
func valueEnd(rest []byte) int {
	quote := byte(0)
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\\' && i+1 < len(rest):
			i++
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		case c == '#' && quote == 0:
			return len(bytes.TrimRight(rest[:i], " \t"))
		}
	}
	return len(bytes.TrimRight(rest, " \t"))
}

// escapes are what a backslash may stand before; before anything else it stays (my_default.c).
var escapes = map[byte]byte{'b': '\b', 't': '\t', 'n': '\n', 'r': '\r', '\\': '\\', 's': ' ', '"': '"', '\'': '\''}

func decode(written string) (string, error) {
	if n := len(written); n > 0 && (written[0] == '"' || written[0] == '\'') {
		if n < 2 || written[n-1] != written[0] {
			return "", errors.New("a quote that does not end")
		}
		written = written[1 : n-1]
	}
	var b strings.Builder
	for i := 0; i < len(written); i++ {
		if c, ok := byte(0), false; written[i] == '\\' && i+1 < len(written) {
			if c, ok = escapes[written[i+1]]; ok {
				b.WriteByte(c)
				i++
				continue
			}
		}
		b.WriteByte(written[i])
	}
	return b.String(), nil
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	written := spell(value)
	if bytes.IndexByte(data[lineStart(data, it.Text.From):it.Text.From], '=') < 0 {
		return " = " + written, nil // an option without a value gets one
	}
	return written, nil
}

func lineStart(data []byte, at int) int { return bytes.LastIndexByte(data[:at], '\n') + 1 }

// spell writes a value so that it reads back: plain where it can, else in double quotes.
func spell(value string) string {
	escaped := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`, `"`, `\"`).Replace(value)
	if value != "" && value == strings.Trim(value, " ") && !strings.ContainsAny(value, "\"'#") {
		return escaped
	}
	return `"` + escaped + `"`
}

func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	ident, err := id(key)
	if err != nil {
		return nil, err
	}
	head, name, _ := strings.Cut(ident, "] ")
	line := name + " = " + spell(value)
	if at := groupEnd(data, head[1:]); at >= 0 {
		return edit.InsertLines(data, at, line), nil
	}
	return edit.InsertLines(data, len(data), head+"]", line), nil
}

// groupEnd returns the offset after the last option of a group, or after its header where it has none; -1 without the
// group.
func groupEnd(data []byte, group string) int {
	at, inside := -1, false
	for l := range edit.Lines(data) {
		text := strings.Trim(string(l.Text), " \t")
		switch {
		case text == "" || strings.ContainsAny(text[:1], "#;!"):
			continue
		case text[0] == '[':
			name, _, _ := strings.Cut(text[1:], "]")
			inside = strings.Trim(name, " \t") == group
		}
		if inside {
			at = l.Stop()
		}
	}
	return at
}
