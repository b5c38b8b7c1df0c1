// Package keyfile edits systemd's files (units, .network, .netdev, .link, *.conf) and NetworkManager's connection profiles
// (.nmconnection). Where the two readers differ, only what both would accept passes:
//
//   - Lines are "[Section]", "Key=Value", blank, or a comment: "#" or ";" as the first character that is no blank. There
//     are no comments after a value, and quotes are part of it.
//   - Names are case-sensitive. A setting before the first section, and a line that is none of these, is an error.
//   - A backslash at the end of a line continues it on the next one; comments in between are skipped (systemd.syntax(7)).
//
// A key is "[Section] Key". systemd reads repeated sections ([Address], [Route]) as a list; the second one is
// "[Section#2] Key". Of a key that stands several times in one section the last value counts; for settings that are lists
// there is [Values].
package keyfile

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single settings. A new one goes to the end of its section; a section that is not there, and the
// next one of a repeated section, is begun at the end of the file.
var Codec = edit.Format{Name: "keyfile", Scan: scan, ID: id, Encode: encode, Add: add, Deletes: true}.Codec()

// Values returns all values of a setting that systemd reads as a list (DNS= in [Network]), in file order. An empty one among
// them resets the list.
func Values(data []byte, key string) ([]string, error) {
	want, err := id(key)
	if err != nil {
		return nil, err
	}
	items, err := scan(data)
	var all []string
	for _, it := range items {
		if it.Key == want {
			all = append(all, it.Value)
		}
	}
	return all, err
}

func id(key string) (string, error) {
	section, nth, name, err := split(key)
	return join(section, nth, name), err
}

// split takes "[Section#2] Key" apart.
func split(key string) (section string, nth int, name string, err error) {
	rest, ok := strings.CutPrefix(key, "[")
	section, name, found := strings.Cut(rest, "] ")
	section, number, numbered := strings.Cut(section, "#")
	nth = 1
	if numbered {
		nth, err = strconv.Atoi(number)
	}
	if !ok || !found || err != nil || nth < 1 || !usable(section) || name != strings.Trim(name, " \t") || !usable(name) ||
		strings.ContainsAny(name, "=") {
		return "", 0, "", fmt.Errorf("cannot use %q as a key: it has the form [Section] Key or [Section#2] Key", key)
	}
	return section, nth, name, nil
}

// usable says whether a name can be told from a comment and a section header.
func usable(name string) bool {
	return name != "" && !strings.ContainsAny(name[:1], "[;#") && !strings.ContainsAny(name, "\r\n")
}

func join(section string, nth int, name string) string {
	if nth > 1 {
		section += "#" + strconv.Itoa(nth)
	}
	return "[" + section + "] " + name
}

// A scanner keeps the logical line that is being put together.
type scanner struct {
	data    []byte
	items   []edit.Item
	counts  map[string]int // of each section, how often it began
	section string
	logical []byte // text of the line so far, nil between lines
	from    int    // offset of its first byte
	to      int    // offset after its last byte that is no blank
	number  int    // its first line
}

func scan(data []byte) ([]edit.Item, error) {
	s := scanner{data: data, counts: map[string]int{}}
	for l := range edit.Lines(data) {
		if err := s.line(l); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.Number, err)
		}
	}
	if s.logical != nil {
		return nil, errors.New("the last line: it is continued, and nothing follows")
	}
	return s.items, nil
}

// line follows config_parse of systemd: comments are skipped before continuations are looked at.
func (s *scanner) line(l edit.Line) error {
	text := bytes.TrimLeft(l.Text, " \t")
	if bytes.IndexByte(text, '\r') >= 0 {
		return errors.New("a carriage return inside the line")
	}
	if len(text) > 0 && (text[0] == '#' || text[0] == ';') {
		return nil
	}
	if s.logical == nil {
		s.from, s.to, s.number = l.Start, l.Start, l.Number
	}
	if trimmed := bytes.TrimRight(l.Text, " \t"); len(trimmed) > 0 {
		s.to = l.Start + len(trimmed)
	}
	s.logical = append(s.logical, text...)
	if escapes(s.logical) {
		s.logical[len(s.logical)-1] = ' '
		return nil
	}
	logical := string(bytes.Trim(s.logical, " \t"))
	s.logical = nil
	return s.settle(logical, l)
}

// escapes says whether the last character is a backslash that no other backslash escapes.
func escapes(line []byte) bool {
	return (len(line)-len(bytes.TrimRight(line, `\`)))%2 == 1
}

// settle takes a whole line, continuations joined; last is where it ends.
func (s *scanner) settle(logical string, last edit.Line) error {
	switch {
	case logical == "":
		return nil
	case logical[0] == '[':
		return s.header(logical, last)
	case s.section == "":
		return errors.New("a setting before the first section")
	}
	name, value, ok := strings.Cut(logical, "=")
	if name = strings.TrimRight(name, " \t"); !ok || name == "" {
		return errors.New("neither a section, a setting nor a comment")
	}
	from := s.from + bytes.IndexByte(s.data[s.from:], '=') + 1
	if bytes.IndexByte(s.data[s.from:from], '\n') >= 0 {
		return errors.New("a setting whose name is continued on the next line")
	}
	from += len(s.data[from:s.to]) - len(bytes.TrimLeft(s.data[from:s.to], " \t"))
	s.items = append(s.items, edit.Item{
		Key: join(s.section, s.counts[s.section], name), Value: strings.TrimLeft(value, " \t"), Line: s.number,
		Text: edit.Span{From: from, To: s.to}, Whole: edit.Span{From: s.from, To: last.Stop()},
	})
	return nil
}

func (s *scanner) header(logical string, l edit.Line) error {
	name := strings.TrimSuffix(logical[1:], "]")
	if name == logical[1:] || !usable(name) || strings.ContainsAny(name, "[]#") || l.Number != s.number {
		return errors.New("a section header without a usable name")
	}
	s.section = name
	s.counts[name]++
	return nil
}

func encode(_ []byte, _ edit.Item, value string) (string, error) {
	if strings.ContainsAny(value, "\r\n") {
		return "", errors.New("cannot write a line break into a value")
	}
	return value, nil
}

func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	section, nth, name, err := split(key)
	if err != nil {
		return nil, err
	}
	if value, err = encode(data, edit.Item{}, value); err != nil {
		return nil, err
	}
	line := name + "=" + value
	at, count := sectionEnd(data, items, section, nth)
	switch {
	case count >= nth:
		return edit.InsertLines(data, at, line), nil
	case count+1 < nth:
		return nil, fmt.Errorf("%w: there are %d sections [%s]", text.ErrNoKey, count, section)
	}
	lines := []string{"[" + section + "]", line}
	if len(bytes.TrimSpace(data)) > 0 && !bytes.HasSuffix(data, []byte("\n\n")) && !bytes.HasSuffix(data, []byte("\n\r\n")) {
		lines = append([]string{""}, lines...)
	}
	return edit.InsertLines(data, len(data), lines...), nil
}

// sectionEnd returns the offset after the last setting of the nth section of this name, or after its header where it has
// none, and how often the name begins a section.
func sectionEnd(data []byte, items []edit.Item, section string, nth int) (at, count int) {
	inside := false
	for l := range edit.Lines(data) {
		for len(items) > 0 && items[0].Whole.To <= l.Start {
			items = items[1:]
		}
		switch header := string(bytes.Trim(l.Text, " \t")); {
		case len(items) > 0 && items[0].Whole.From <= l.Start:
			if inside {
				at = items[0].Whole.To
			}
		case strings.HasPrefix(header, "["):
			if inside = header == "["+section+"]"; inside {
				count++
			}
			if inside = inside && count == nth; inside {
				at = l.Stop()
			}
		}
	}
	return at, count
}
