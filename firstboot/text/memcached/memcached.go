// Package memcached edits Debian's /etc/memcached.conf, whose lines systemd-memcached-wrapper joins to the command line of
// memcached: options such as "-l 127.0.0.1", one or several on a line, and "#" comments, also behind an option.
//
// A key is the option as it is written ("-l", "--listen"), or the first word of a line that is no option ("logfile"). An
// option may stand several times, and memcached heeds each -l; the second one has the key "-l#2".
//
// Red Hat's /etc/sysconfig/memcached is another format: see package shellvar.
package memcached

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single options. An option that takes no value has the value "".
var Codec = edit.Format{Name: "memcached", Scan: scan, ID: id, Encode: encode, Add: add}.Codec()

// plain are the characters of a value that the shell between wrapper and memcached leaves alone.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-[]"

func id(key string) (string, error) {
	option, number, numbered := strings.Cut(key, "#")
	nth, err := 1, error(nil)
	if numbered {
		nth, err = strconv.Atoi(number)
	}
	if err != nil || nth < 1 || option == "" || strings.Trim(option, plain) != "" {
		return "", fmt.Errorf("cannot use %q as a key: it is an option such as -l, or -l#2", key)
	}
	return numberedKey(option, nth), nil
}

func numberedKey(option string, nth int) string {
	if nth > 1 {
		return option + "#" + strconv.Itoa(nth)
	}
	return option
}

func scan(data []byte) ([]edit.Item, error) {
	var items []edit.Item
	seen := map[string]int{}
	for l := range edit.Lines(data) {
		words := split(data, edit.Span{From: l.Start, To: l.Start + comment(string(l.Text))})
		for len(words) > 0 {
			var it edit.Item
			if it, words = option(data, words); strings.Trim(it.Key, plain) != "" {
				return nil, fmt.Errorf("line %d: neither an option nor a comment", l.Number)
			}
			seen[it.Key]++
			it.Key, it.Line = numberedKey(it.Key, seen[it.Key]), l.Number
			items = append(items, it)
		}
	}
	return items, nil
}

// comment returns where the comment of a line begins: at the first "#" that no backslash protects.
func comment(line string) int {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] != '\\') {
			return i
		}
	}
	return len(line)
}

func split(data []byte, in edit.Span) []edit.Span {
	var words []edit.Span
	for i := in.From; i < in.To; i++ {
		switch blank := strings.IndexByte(" \t\r\f\v", data[i]) >= 0; {
		case blank:
		case len(words) > 0 && words[len(words)-1].To == i:
			words[len(words)-1].To++
		default:
			words = append(words, edit.Span{From: i, To: i + 1})
		}
	}
	return words
}

// option takes one option with its value off the words of a line: "-l value", "-lvalue", "--listen=value", "--listen value".
func option(data []byte, words []edit.Span) (edit.Item, []edit.Span) {
	name := string(words[0].Of(data))
	at := edit.Span{From: words[0].To, To: words[0].To}
	switch {
	case strings.HasPrefix(name, "--") && strings.Contains(name, "="):
		name = name[:strings.Index(name, "=")]
		at.From = words[0].From + len(name) + 1
		words = words[1:]
	case strings.HasPrefix(name, "-") && !strings.HasPrefix(name, "--") && len(name) > 2:
		name = name[:2]
		at.From = words[0].From + 2
		words = words[1:]
	default:
		words = words[1:]
		for option := strings.HasPrefix(name, "-"); len(words) > 0 && !(option && data[words[0].From] == '-'); words = words[1:] {
			if at.From == at.To {
				at.From = words[0].From
			}
			at.To = words[0].To
		}
	}
	return edit.Item{Key: name, Value: string(at.Of(data)), Text: at}, words
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	switch {
	case value == "":
		return "", errors.New("cannot take the value of an option away")
	case strings.Trim(value, plain) != "" || value[0] == '-':
		return "", errors.New("cannot write a value with blanks, a leading dash or characters of the shell")
	case it.Value == "" && it.Text.From > 0 && data[it.Text.From-1] != '=':
		return " " + value, nil
	}
	return value, nil
}

func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	option, number, numbered := strings.Cut(key, "#")
	if before, _ := strconv.Atoi(number); numbered && before > 1 {
		if _, ok := edit.Find(items, numberedKey(option, before-1)); !ok {
			return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
		}
	}
	line := option
	if value != "" {
		spelled, err := encode(nil, edit.Item{}, value)
		if err != nil {
			return nil, err
		}
		line += " " + spelled
	}
	return edit.InsertLines(data, len(data), line), nil
}
