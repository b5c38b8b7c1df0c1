// Package apache edits the configuration of Apache httpd 2.4 (server/config.c and server/util.c of httpd are its law):
//
//   - one directive per line: a name, which is case-insensitive, and its arguments;
//   - a backslash before the line end continues the line, comments included;
//   - "#" starts a comment only as the first character of a line;
//   - "<Name args>" opens a section that "</Name>" closes, and sections nest;
//   - an argument in quotes may hold blanks; inside, a backslash escapes the quote and itself.
//
// A key is the sections that lead to a directive, as their opening lines, and its name: "Listen",
// "<VirtualHost *:80> ServerName". The second of the same opening line or of the same name has "#2" behind it, and so on:
// "<VirtualHost *:80>#2 ServerAlias#3". The first has no number. Case is ignored throughout, and blanks count as one.
//
// A value is the text of the arguments, continuation marks removed; where that is one quoted word, the word itself.
// [Words] and [MapWords] take the text apart. Variables ("${APACHE_LOG_DIR}") are left as they are.
package apache

import (
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single directives. Set adds a missing one to a section that exists, behind the last of its name or
// before the section's end; the number must be the next free one. It has no Delete: that would renumber the rest.
var Codec = format.Codec()

var format = edit.Format{Name: "apache", Scan: scan, ID: id, Encode: encode, Add: add}

// A VirtualHost is one <VirtualHost> section, wherever it is nested.
type VirtualHost struct {
	Section    string   // the key of the section: a directive in it is Section + " " + name
	Addresses  []string // the arguments of the opening line, such as "*:80"
	ServerName string   // of the last such directive, which is the one in force; "" when there is none
	Aliases    []string // all arguments of all ServerAlias directives
	Line       int      // 1-based line of the opening
}

// VirtualHosts returns the virtual hosts of a file in file order.
func VirtualHosts(data []byte) ([]VirtualHost, error) {
	p, err := parse(data)
	if err != nil {
		return nil, err
	}
	var all []VirtualHost
	for _, s := range p.sections {
		if strings.EqualFold(s.name, "VirtualHost") {
			all = append(all, p.virtualHost(s))
		}
	}
	return all, nil
}

func (p *parser) virtualHost(s section) VirtualHost {
	v := VirtualHost{Section: s.key, Addresses: Words(s.args), Line: s.line}
	for _, d := range p.directives {
		words := Words(d.args)
		switch {
		case d.section != s.key || len(words) == 0:
		case strings.EqualFold(d.name, "ServerName"):
			v.ServerName = words[0]
		case strings.EqualFold(d.name, "ServerAlias"):
			v.Aliases = append(v.Aliases, words...)
		}
	}
	return v
}

func scan(data []byte) ([]edit.Item, error) {
	p, err := parse(data)
	if err != nil {
		return nil, err
	}
	items := make([]edit.Item, len(p.directives))
	for i, d := range p.directives {
		items[i] = edit.Item{Key: d.key, ID: fold(d.key), Value: decode(d.args), Line: d.line, Text: d.text, Whole: d.whole}
	}
	return items, nil
}

func id(key string) (string, error) {
	key = squeeze(key)
	name, _ := nameOf(key)
	switch {
	case !isName(name):
		return "", fmt.Errorf("cannot use %q as a key: it ends in the name of a directive", key)
	case strings.HasSuffix(key, "#1"):
		return "", fmt.Errorf("cannot use %q as a key: the first of its kind has no number", key)
	}
	return fold(key), nil
}

// nameOf returns the directive of a key without its number, and the key of its section.
func nameOf(key string) (name, section string) {
	at := strings.LastIndexByte(key, ' ')
	if at >= 0 {
		section = key[:at]
	}
	name, _, _ = strings.Cut(key[at+1:], "#")
	return name, section
}

// fold lowers ASCII letters only: anything else would make different bytes alike.
func fold(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", errors.New("cannot write a line end into a directive")
	}
	written := it.Text.Of(data)
	switch {
	case len(written) == 0:
		return " " + spell(value), nil
	case decode(string(written)) != string(written) && (written[0] == '"' || written[0] == '\''):
		return quote(value, written[0]), nil
	}
	return spell(value), nil
}

// spell writes arguments as they are where that reads back, else as one quoted word.
func spell(value string) string {
	if value == "" || value != string(trim([]byte(value))) || strings.HasSuffix(value, `\`) || decode(value) != value {
		return quote(value, '"')
	}
	return value
}

func add(data []byte, _ []edit.Item, key, value string) ([]byte, error) {
	p, err := parse(data)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return nil, errors.New("cannot write a line end into a directive")
	}
	name, within := nameOf(squeeze(key))
	at, indent, err := p.place(name, within)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", text.ErrNoKey, key, err)
	}
	if next := p.key(within, name); fold(next) != fold(squeeze(key)) {
		return nil, fmt.Errorf("%w: %s: the next of its name would be %s", text.ErrNoKey, key, next)
	}
	return edit.InsertLines(data, at, indent+name+" "+spell(value)), nil
}

// place returns the offset of the line before which another directive belongs, and its indent.
func (p *parser) place(name, within string) (at int, indent string, err error) {
	at = len(p.data)
	if within != "" {
		s, ok := p.find(within)
		if !ok {
			return 0, "", errors.New("there is no such section")
		}
		at, indent = s.end, s.indent
	}
	for _, d := range p.directives {
		if strings.EqualFold(d.name, name) && fold(d.section) == fold(within) {
			at, indent = d.whole.To, d.indent
		}
	}
	if at == len(p.data) && p.unfinished {
		return 0, "", errors.New("the last line ends in a backslash")
	}
	return at, indent, nil
}

func (p *parser) find(key string) (section, bool) {
	for _, s := range p.sections {
		if fold(s.key) == fold(key) {
			return s, true
		}
	}
	return section{}, false
}
