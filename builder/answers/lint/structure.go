package lint

import (
	"slices"
	"strings"
	"unicode/utf8"

	"goldsmith/builder/answers/pyconf"
)

// A Dialect is what Structure must know of the installer.
type Dialect struct {
	Sections []string // the sections it reads, the usual one first
	Refuses  string   // what it does with a file that does not parse: "packstack refuses the file"
	Twice    string   // what it does with a key or a section that stands twice
	KeyIn    func(line string) (name string, ok bool)
}

// Structure notes everything that is wrong with the form of a file: its encoding, line ends, sections, lines that are no
// settings, and lines that were meant as settings and are read as something else.
func Structure(l *Log, f *pyconf.File, d Dialect) {
	faults(l, f, d)
	bytesOf(l, f)
	sections(l, f, d)
	swallowed(l, f, d)
	indented(l, f)
}

func faults(l *Log, f *pyconf.File, d Dialect) {
	for _, x := range f.Faults {
		switch x.Kind {
		case pyconf.BOM:
			l.Errorf(1, "bom", "", "the file starts with a byte order mark: %s", d.Refuses).
				Hintf(`sed -i '1s/^\xef\xbb\xbf//' FILE`)
		case pyconf.BadUTF8:
			l.Errorf(x.Line, "not-utf8", "", "the line is not UTF-8: %s", d.Refuses).
				Hintf("iconv -f CP1251 -t UTF-8 FILE (if that was the encoding), then keep to ASCII")
		case pyconf.NoHeader:
			l.Errorf(x.Line, "no-section", "", "the line stands before any section: %s", d.Refuses).
				Hintf("put [%s] in front of it", d.Sections[0])
		case pyconf.BadLine:
			l.Errorf(x.Line, "no-delimiter", "", "the line is neither KEY=VALUE nor a comment nor a section: %s", d.Refuses)
		case pyconf.DupSection:
			l.Errorf(x.Line, "dup-section", "", "section [%s] stands here again (first in line %d): %s", x.Name, x.First, d.Twice)
		case pyconf.DupKey:
			l.Errorf(x.Line, "dup-key", x.Name, "%s stands here again (first in line %d): %s", x.Name, x.First, d.Twice)
		}
	}
}

func bytesOf(l *Log, f *pyconf.File) {
	crlf, first := 0, 0
	for i, line := range f.Lines {
		switch line.EOL {
		case "\r\n":
			if crlf++; crlf == 1 {
				first = i + 1
			}
		case "\r":
			l.Errorf(i+1, "stray-cr", "", "a carriage return in the middle of the line ends it here: the rest is read as a line of its own").
				Hintf(`tr -d '\r' <FILE >NEW`)
		}
		nul(l, i+1, line)
	}
	if crlf > 0 {
		l.Warnf(first, "crlf", "", "%s in CRLF, the first one here: other tools will see a carriage return in the value", ends(crlf)).
			Hintf(`sed -i 's/\r$//' FILE`)
	}
}

func ends(n int) string {
	if n == 1 {
		return "1 line ends"
	}
	return count(n, "line") + " end"
}

// nul: packstack writes two NUL bytes itself, into a comment of the Manila group, and grep then calls the file binary.
func nul(l *Log, n int, line pyconf.Line) {
	if !strings.Contains(line.Text, "\x00") {
		return
	}
	if line.Kind == pyconf.Comment {
		l.Warnf(n, "nul", "", "a NUL byte in the comment: grep takes the file for a binary")
		return
	}
	l.Errorf(n, "nul", "", "a NUL byte in the line: it becomes part of the key or the value").Hintf(`tr -d '\000' <FILE >NEW`)
}

func sections(l *Log, f *pyconf.File, d Dialect) {
	if !slices.ContainsFunc(d.Sections, f.HasSection) && !slices.ContainsFunc(f.Faults, func(x pyconf.Fault) bool { return x.Kind == pyconf.NoHeader }) {
		l.Errorf(0, "no-section", "", "the file has no section [%s]: nothing in it is read", d.Sections[0])
	}
	for _, s := range f.Sections {
		if s.Junk != "" {
			l.Warnf(s.Line, "section-junk", "", "what stands behind [%s] is ignored", s.Name)
		}
		switch {
		case slices.Contains(d.Sections, s.Name):
		case s.Name == pyconf.DefaultSection:
			l.Warnf(s.Line, "default-section", "", "keys of [DEFAULT] count in every section that does not have them itself")
		default:
			wrongSection(l, s, d)
		}
	}
}

func wrongSection(l *Log, s pyconf.Section, d Dialect) {
	near, ok := Nearest(s.Name, d.Sections)
	if ok {
		l.Errorf(s.Line, "wrong-section", "", "section [%s] is not read: it must be [%s], in this case and spelling", s.Name, near)
		return
	}
	l.Warnf(s.Line, "extra-section", "", "section [%s] is not read", s.Name)
}

// swallowed finds settings and headers that became part of the value above because they are indented.
func swallowed(l *Log, f *pyconf.File, d Dialect) {
	for _, s := range f.Settings {
		for _, n := range s.More {
			text := strings.TrimSpace(strings.ToValidUTF8(f.Lines[n-1].Text, "\ufffd"))
			name, ok := d.KeyIn(text)
			switch {
			case ok:
				l.Errorf(n, "swallowed-key", name, "%s is indented, so it is read as part of the value of %s (line %d)", name, s.Name, s.Line).
					Hintf("sed -i '%ds/^[[:space:]]*//' FILE", n)
			case strings.HasPrefix(text, "["):
				l.Errorf(n, "swallowed-section", "", "the section header is indented, so it is read as part of the value of %s (line %d)", s.Name, s.Line).
					Hintf("sed -i '%ds/^[[:space:]]*//' FILE", n)
			}
		}
	}
}

func indented(l *Log, f *pyconf.File) {
	for _, s := range f.Settings {
		if s.Indent > 0 {
			l.Warnf(s.Line, "indented", s.Name, "%s is indented: it is still read, but a deeper line below it would not be", s.Name)
		}
	}
}

// ASCII reports the first character of text that is not plain printable ASCII; ok is true when there is none. A tab is fine.
func ASCII(text string) (column int, r rune, ok bool) {
	for i, r := range text {
		if r >= utf8.RuneSelf || r < ' ' && r != '\t' || r == 0x7f {
			return utf8.RuneCountInString(text[:i]) + 1, r, false
		}
	}
	return 0, 0, true
}
