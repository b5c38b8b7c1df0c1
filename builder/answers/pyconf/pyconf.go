// Package pyconf reads and edits files in the dialect of Python 3's configparser.RawConfigParser, which packstack and
// otopi (engine-setup, hosted-engine) read their answers with.
//
// The dialect is not INI as most people write it, and every difference is a way to lose an answer without a word:
//
//   - there are no quotes and no inline comments: both become part of the value;
//   - a line that is indented deeper than the key before it continues that key's value, also across blank and comment
//     lines, whatever it looks like;
//   - '=' and ':' both end a key, whichever comes first;
//   - a key or a section that stands twice makes the reader throw away the file;
//   - a byte order mark hides the first section header.
//
// [Parse] follows configparser's _read line by line (Python 3.6 and 3.9, those of the tools) and where Python would stop it takes a note and
// goes on, so that all mistakes are found at once. [File.Faults] is empty exactly when Python accepts the file.
package pyconf

import (
	"strings"
	"unicode/utf8"
)

// DefaultSection is the section whose keys every other section falls back to.
const DefaultSection = "DEFAULT"

// A Fault is one reason for Python to refuse the file.
type Fault struct {
	Kind  FaultKind
	Line  int    // 1-based
	First int    // line of the first one, for duplicates
	Name  string // the section or the key that stands twice, as written
}

// FaultKind names what Python would raise.
type FaultKind string

// The kinds, with Python's exceptions.
const (
	BOM        FaultKind = "bom"         // MissingSectionHeaderError, with '\ufeff' in front of the line
	NoHeader   FaultKind = "no-header"   // MissingSectionHeaderError
	BadLine    FaultKind = "bad-line"    // ParsingError: neither header nor key
	DupSection FaultKind = "dup-section" // DuplicateSectionError
	DupKey     FaultKind = "dup-key"     // DuplicateOptionError
	BadUTF8    FaultKind = "bad-utf8"    // UnicodeDecodeError
)

// A LineKind says what a line is to the reader.
type LineKind byte

// The kinds of lines.
const (
	Blank   LineKind = iota
	Comment          // '#' or ';' first, indented or not
	Header           // [section]
	Key              // name = value
	More             // continues the value above
	Bad              // nothing that Python knows
)

// A Line is one physical line. Python's universal newlines end it: LF, CRLF, or a CR alone.
type Line struct {
	Text string // without its end, as in the file (bytes that are no UTF-8 included)
	EOL  string // "\n", "\r\n", "\r", or "" on a last line without one
	Kind LineKind
}

// A Setting is one key with its value.
type Setting struct {
	Section string
	Key     string // folded, as the tool looks it up
	Name    string // as written
	Value   string // stripped; continuation lines joined by "\n"
	Line    int    // 1-based line of the key
	Indent  int    // columns in front of the key
	More    []int  // 1-based lines that continue the value
	Dup     bool   // Python stopped here; it counts for nobody
}

// last is the 1-based line that the value ends on.
func (s Setting) last() int {
	if len(s.More) > 0 {
		return s.More[len(s.More)-1]
	}
	return s.Line
}

// A Section is one header.
type Section struct {
	Name string
	Line int    // 1-based
	Junk string // what stands behind the ']': Python ignores it
}

// A File is a parsed file that can be edited.
type File struct {
	Lines    []Line
	Sections []Section // headers in file order, those that stand twice included
	Settings []Setting // in file order
	Faults   []Fault   // in file order
	fold     func(string) string
}

// Lower is the key folding of configparser itself; packstack keeps it.
func Lower(key string) string { return strings.ToLower(key) }

// Exact is the key folding of otopi: none.
func Exact(key string) string { return key }

// Parse reads data. It never fails: what Python would refuse is in the result's Faults.
func Parse(data []byte, fold func(string) string) *File {
	f := &File{fold: fold}
	text := string(data)
	if rest, ok := strings.CutPrefix(text, "\ufeff"); ok {
		f.Faults = append(f.Faults, Fault{Kind: BOM, Line: 1})
		f.Lines = splitLines(rest)
		f.parse()
		if len(f.Lines) > 0 {
			f.Lines[0].Text = "\ufeff" + f.Lines[0].Text
		}
		return f
	}
	f.Lines = splitLines(text)
	f.parse()
	return f
}

// splitLines cuts text as Python's universal newlines do.
func splitLines(text string) []Line {
	var lines []Line
	for text != "" {
		i := strings.IndexAny(text, "\r\n")
		if i < 0 {
			return append(lines, Line{Text: text})
		}
		eol := text[i : i+1]
		if strings.HasPrefix(text[i:], "\r\n") {
			eol = "\r\n"
		}
		lines = append(lines, Line{Text: text[:i], EOL: eol})
		text = text[i+len(eol):]
	}
	return lines
}

// Get returns the value that the tool sees for key in section: the section's own, else that of [DEFAULT].
func (f *File) Get(section, key string) (Setting, bool) {
	key = f.fold(key)
	for _, name := range []string{section, DefaultSection} {
		for _, s := range f.Settings {
			if s.Section == name && s.Key == key && !s.Dup {
				return s, true
			}
		}
	}
	return Setting{}, false
}

// HasSection reports whether a header [name] stands in the file.
func (f *File) HasSection(name string) bool {
	for _, s := range f.Sections {
		if s.Name == name {
			return true
		}
	}
	return false
}

// Bytes returns the file as it is; without edits it is what was parsed, to the byte.
func (f *File) Bytes() []byte {
	var b strings.Builder
	for _, l := range f.Lines {
		b.WriteString(l.Text)
		b.WriteString(l.EOL)
	}
	return []byte(b.String())
}

// isSpace is Python's str.isspace for one character: Unicode's white space and the four ASCII separators.
func isSpace(r rune) bool {
	switch {
	case r >= 0x09 && r <= 0x0d, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0:
		return true
	case r == 0x1680, r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}

func strip(s string) string  { return strings.TrimFunc(s, isSpace) }
func rstrip(s string) string { return strings.TrimRightFunc(s, isSpace) }

// indentOf counts the characters in front of the first that is no space.
func indentOf(s string) int {
	rest := strings.TrimLeftFunc(s, isSpace)
	return utf8.RuneCountInString(s[:len(s)-len(rest)])
}
