package pyconf

import (
	"strings"
	"unicode/utf8"
)

// parser is the state of configparser's _read, under its names.
type parser struct {
	f           *File
	inSection   bool           // cursect is not None
	section     string         // sectname
	current     int            // index of the setting that a deeper line continues, -1 for none (optname is empty)
	values      [][]string     // the value lines of each setting, joined at the end
	indentLevel int            // indent_level
	sections    map[string]int // elements_added: section to its line
	keys        map[keyOf]int  // elements_added: key to its line
}

type keyOf struct{ section, key string }

// parse fills everything but Lines, which it only classifies.
func (f *File) parse() {
	p := &parser{f: f, current: -1, sections: map[string]int{}, keys: map[keyOf]int{}}
	for i := range f.Lines {
		p.line(i+1, &f.Lines[i])
	}
	for i, v := range p.values {
		f.Settings[i].Value = rstrip(strings.Join(v, "\n"))
	}
}

func (p *parser) fault(kind FaultKind, line, first int, name string) {
	p.f.Faults = append(p.f.Faults, Fault{Kind: kind, Line: line, First: first, Name: name})
}

func (p *parser) line(n int, l *Line) {
	if !utf8.ValidString(l.Text) {
		p.fault(BadUTF8, n, 0, "")
	}
	text := strings.ToValidUTF8(l.Text, "\ufffd")
	value := strip(text)
	switch {
	case strings.HasPrefix(value, "#"), strings.HasPrefix(value, ";"):
		l.Kind = Comment
	case value == "":
		l.Kind = Blank
		if p.current >= 0 {
			p.values[p.current] = append(p.values[p.current], "")
		}
	case p.current >= 0 && indentOf(text) > p.indentLevel:
		l.Kind = More
		p.values[p.current] = append(p.values[p.current], value)
		s := &p.f.Settings[p.current]
		s.More = append(s.More, n)
	default:
		p.indentLevel = indentOf(text)
		p.headerOrKey(n, l, value)
	}
}

func (p *parser) headerOrKey(n int, l *Line, value string) {
	if name, junk, ok := header(value); ok {
		l.Kind = Header
		p.header(n, name, junk)
		return
	}
	if !p.inSection {
		// Python stops here. Everything up to the first header is read as if it stood in a section without a name.
		p.fault(NoHeader, n, 0, "")
		p.inSection = true
	}
	at := strings.IndexAny(value, "=:")
	if at < 0 {
		l.Kind = Bad
		p.fault(BadLine, n, 0, "")
		return
	}
	l.Kind = Key
	p.key(n, rstrip(value[:at]), strip(value[at+1:]))
}

// header is SECTCRE, \[(?P<header>[^]]+)\], matched at the start only.
func header(value string) (name, junk string, ok bool) {
	rest, ok := strings.CutPrefix(value, "[")
	if !ok {
		return "", "", false
	}
	name, junk, ok = strings.Cut(rest, "]")
	return name, junk, ok && name != ""
}

func (p *parser) header(n int, name, junk string) {
	p.f.Sections = append(p.f.Sections, Section{Name: name, Line: n, Junk: junk})
	if first, twice := p.sections[name]; twice && name != DefaultSection {
		p.fault(DupSection, n, first, name)
	} else if !twice {
		p.sections[name] = n
	}
	p.inSection, p.section, p.current = true, name, -1
}

func (p *parser) key(n int, name, value string) {
	if name == "" {
		// Python takes a note and keeps the empty name, so that the next deeper line starts a key of its own.
		p.f.Lines[n-1].Kind = Bad
		p.fault(BadLine, n, 0, "")
		p.current = -1
		return
	}
	k := keyOf{p.section, p.f.fold(name)}
	first, dup := p.keys[k]
	if dup {
		p.fault(DupKey, n, first, name)
	} else {
		p.keys[k] = n
	}
	p.f.Settings = append(p.f.Settings, Setting{
		Section: p.section, Key: k.key, Name: name, Line: n, Indent: p.indentLevel, Dup: dup,
	})
	p.values = append(p.values, []string{value})
	p.current = len(p.values) - 1
}
