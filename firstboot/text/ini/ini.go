// Package ini edits the configuration files of OpenStack services, in the dialect of oslo.config (its iniparser.py and
// cfg.py, release 9.0):
//
//   - "[section]" starts in column 0. [DEFAULT] is case-sensitive, other names are not. A section may be reopened.
//   - "option = value" or "option: value": the first of the two marks splits, blanks around both sides go, and one pair of
//     matching outer quotes is removed from the value.
//   - "#" and ";" start a comment only in column 0. There are no comments after a value.
//   - A line that starts with a blank continues the value; a blank line or a comment ends it.
//   - An option that stands several times has its last value (or all of them, where the service asks for a list: [Values]).
//
// Python and paste dialects (api-paste.ini, rootwrap.conf, uwsgi, swift) are other formats.
//
// A key is "[section] option". After each Set the result is read again, by this package and by gopkg.in/ini.v1, and the
// two readings must agree that only the intended option changed: see agree.
package ini

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single options.
var Codec = format.Codec()

var format = edit.Format{Name: "ini", Scan: scan, ID: id, Encode: encode, Add: add, Deletes: true, Check: agree}

// List returns all options of all sections in file order, duplicates included.
func List(data []byte) ([]text.Entry, error) { return Codec.List(data) }

// Values returns all values of an option that services read as a list (MultiStrOpt, such as [pci] alias), in file order.
func Values(data []byte, key string) ([]string, error) {
	want, err := id(key)
	if err != nil {
		return nil, err
	}
	items, err := scan(data)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, it := range items {
		if it.ID == want {
			all = append(all, it.Value)
		}
	}
	return all, nil
}

// id returns the key with its section as oslo.config compares it: "[VNC] x" is "[vnc] x", "[default] x" is not "[DEFAULT] x".
func id(key string) (string, error) {
	section, option, err := split(key)
	if err != nil {
		return "", err
	}
	return join(normal(section), option), nil
}

func split(key string) (section, option string, err error) {
	rest, ok := strings.CutPrefix(key, "[")
	section, option, found := strings.Cut(rest, "] ")
	if !ok || !found || section == "" || option == "" {
		return "", "", fmt.Errorf("cannot use %q as a key: it has the form [section] option", key)
	}
	if strings.ContainsAny(section, "[]\r\n") || option != string(trim([]byte(option))) || strings.ContainsAny(option, "=:\r\n") ||
		strings.ContainsAny(option[:1], "[#;") {
		return "", "", fmt.Errorf("cannot use %q as a key: no reader would take it for a section and an option", key)
	}
	return section, option, nil
}

func join(section, option string) string { return "[" + section + "] " + option }

// normal is _normalize_group_name of oslo.config.
func normal(section string) string {
	if section == "DEFAULT" {
		return section
	}
	return strings.ToLower(section)
}

// A scanner walks the lines and keeps the assignment that is still open to continuation lines.
type scanner struct {
	data    []byte
	items   []edit.Item
	section string
	open    bool
}

func scan(data []byte) ([]edit.Item, error) {
	s := scanner{data: data}
	for l := range edit.Lines(data) {
		if err := s.line(l); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.Number, err)
		}
	}
	return s.items, nil
}

func (s *scanner) line(l edit.Line) error {
	if bytes.IndexByte(l.Text, '\r') >= 0 {
		return errors.New("a carriage return inside the line")
	}
	if len(l.Text) > 0 && (l.Text[0] == '#' || l.Text[0] == ';') {
		s.open = false
		return nil
	}
	line := trim(l.Text)
	switch {
	case len(line) == 0:
		s.open = false
		return nil
	case l.Text[0] == ' ' || l.Text[0] == '\t':
		return s.continuation(l, line)
	case !bytes.HasPrefix(l.Text, line):
		return errors.New("starts with a blank that is neither space nor tab")
	case line[0] == '[':
		return s.header(line)
	}
	return s.assignment(l)
}

// trim is Python's str.strip: it takes four control characters more than Go's TrimSpace for blanks.
func trim(b []byte) []byte {
	return bytes.TrimFunc(b, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

func (s *scanner) continuation(l edit.Line, line []byte) error {
	if !s.open {
		return errors.New("an indented line that continues nothing")
	}
	it := &s.items[len(s.items)-1]
	it.Value += "\n" + string(line)
	it.Text.To = l.Start + bytes.Index(l.Text, line) + len(line)
	it.Whole.To = l.Stop()
	return nil
}

func (s *scanner) header(line []byte) error {
	s.open = false
	if line[len(line)-1] != ']' {
		return errors.New("a section header that does not end in a bracket")
	}
	s.section = string(line[1 : len(line)-1])
	if s.section == "" || strings.ContainsAny(s.section, "[]") {
		return errors.New("a section header without a usable name")
	}
	return nil
}

func (s *scanner) assignment(l edit.Line) error {
	mark := bytes.IndexAny(l.Text, "=:")
	switch {
	case s.section == "":
		return errors.New("an option before the first section")
	case mark < 0:
		return errors.New("neither a section, an option nor a comment")
	}
	option := string(trim(l.Text[:mark]))
	if option == "" {
		return errors.New("a value without an option")
	}
	raw := trim(l.Text[mark+1:])
	from := l.Start + mark + 1
	if len(raw) > 0 {
		from += bytes.Index(l.Text[mark+1:], raw)
	}
	s.open = true
	s.items = append(s.items, edit.Item{
		Key: join(s.section, option), ID: join(normal(s.section), option), Value: unquote(string(raw)),
		Line: l.Number, Text: edit.Span{From: from, To: from + len(raw)}, Whole: edit.Span{From: l.Start, To: l.Stop()},
	})
	return nil
}

// unquote removes one pair of outer quotes, as oslo.config does; a lone quote is a pair with itself.
func unquote(raw string) string {
	switch {
	case !quoted(raw):
		return raw
	case len(raw) == 1:
		return ""
	}
	return raw[1 : len(raw)-1]
}

func quoted(raw string) bool {
	return raw != "" && (raw[0] == '"' || raw[0] == '\'') && raw[0] == raw[len(raw)-1]
}
