package pyconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrFaulty is returned, wrapped, by the editors for a file that Python refuses: what it says is then anybody's guess.
var ErrFaulty = errors.New("the file does not parse")

// ErrNoSection is returned, wrapped, by Set for a section that has no header.
var ErrNoSection = errors.New("no such section")

// Set returns a file in which key of section has value. Comments, order, spacing and line ends of everything else stay as
// they are. A key that stands several times is left once, at its first place; a missing one is added behind the last key of
// the section. A value of several lines becomes continuation lines.
//
// The result is read back before it is returned: a value that the dialect cannot hold (blanks at its ends, a line that would
// be a comment) is an error.
func (f *File) Set(section, key, value string) (*File, error) {
	if err := f.editable(section, key); err != nil {
		return nil, err
	}
	if !f.HasSection(section) {
		return nil, fmt.Errorf("cannot set %s: [%s]: %w", key, section, ErrNoSection)
	}
	lines := f.without(section, key, true)
	if at := f.find(section, key); len(at) > 0 {
		s := f.Settings[at[0]]
		lines[s.Line-1] = lineSet{valueLine(f.Lines[s.Line-1].Text, f.Lines[s.last()-1].EOL, value)}
	} else {
		f.insert(lines, section, key, value)
	}
	return f.proven(lines, section, key, value, true)
}

// Delete returns a file in which section has no key, with everything else as it is.
func (f *File) Delete(section, key string) (*File, error) {
	if err := f.editable(section, key); err != nil {
		return nil, err
	}
	return f.proven(f.without(section, key, false), section, key, "", false)
}

// editable refuses a file that Python refuses, except where the key to be written is itself the one that stands twice.
func (f *File) editable(section, key string) error {
	for _, fault := range f.Faults {
		if fault.Kind == DupKey && f.fold(fault.Name) == f.fold(key) && f.sectionAt(fault.Line) == section {
			continue
		}
		return fmt.Errorf("cannot set %s: line %d: %w", key, fault.Line, ErrFaulty)
	}
	return nil
}

func (f *File) sectionAt(line int) string {
	name := ""
	for _, s := range f.Sections {
		if s.Line <= line {
			name = s.Name
		}
	}
	return name
}

// find returns the indexes of the settings of key in section.
func (f *File) find(section, key string) []int {
	var at []int
	for i, s := range f.Settings {
		if s.Section == section && s.Key == f.fold(key) {
			at = append(at, i)
		}
	}
	return at
}

// lineSet is what one line of the file becomes: nothing, itself, or several.
type lineSet []Line

// without maps every line to itself, and those of key to nothing; keepFirst spares the line of its first key.
func (f *File) without(section, key string, keepFirst bool) []lineSet {
	out := make([]lineSet, len(f.Lines))
	for i, l := range f.Lines {
		out[i] = lineSet{l}
	}
	for n, i := range f.find(section, key) {
		s := f.Settings[i]
		if n > 0 || !keepFirst {
			out[s.Line-1] = nil
		}
		for _, m := range s.More {
			out[m-1] = nil
		}
	}
	return out
}

// valueLine puts value behind the delimiter of a key's line, and keeps the spacing there. Eol is the end of the last line
// that the old value had.
func valueLine(text, eol, value string) Line {
	at := strings.IndexAny(text, "=:") + 1
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return Line{Text: text[:at] + folded(value, eol), EOL: eol}
}

// folded writes the lines of a value below each other; one blank makes each a continuation.
func folded(value, eol string) string {
	return strings.ReplaceAll(value, "\n", orLF(eol)+" ")
}

func orLF(eol string) string {
	if eol == "" {
		return "\n"
	}
	return eol
}

// insert adds a key behind the last line that belongs to the section.
func (f *File) insert(lines []lineSet, section, key, value string) {
	at, indent := 0, 0
	for _, s := range f.Sections {
		if s.Name == section {
			at, indent = s.Line, indentOf(f.Lines[s.Line-1].Text)
		}
	}
	for _, s := range f.Settings {
		if s.Section == section && s.Line >= at {
			at, indent = s.last(), s.Indent
		}
	}
	prev := f.Lines[at-1]
	added := Line{Text: strings.Repeat(" ", indent) + key + "=" + folded(value, prev.EOL), EOL: prev.EOL}
	prev.EOL = orLF(prev.EOL)
	lines[at-1] = lineSet{prev, added}
}

// proven builds the file of lines, reads it back, and refuses it unless key alone differs.
func (f *File) proven(lines []lineSet, section, key, value string, there bool) (*File, error) {
	text := &File{Lines: slices.Concat(lines...)}
	got := Parse(text.Bytes(), f.fold)
	if len(got.Faults) > 0 || !slices.Equal(got.others(section, key), f.others(section, key)) {
		return nil, fmt.Errorf("cannot set %s: the new value would change what is read elsewhere", key)
	}
	at := got.find(section, key)
	if there != (len(at) == 1) || there && got.Settings[at[0]].Value != value {
		return nil, fmt.Errorf("cannot set %s: the value would not be read back as it is", key)
	}
	return got, nil
}

// others lists what the file says apart from key.
func (f *File) others(section, key string) []string {
	var out []string
	for _, s := range f.Sections {
		out = append(out, "["+s.Name)
	}
	for _, s := range f.Settings {
		if s.Section != section || s.Key != f.fold(key) {
			out = append(out, s.Section+"\x00"+s.Name+"\x00"+s.Value)
		}
	}
	return out
}
