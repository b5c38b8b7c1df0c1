package interfaces

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text/edit"
)

const blanks = " \t\r\f\v"

// A word is a run of non-blanks of a logical line.
type word struct {
	text string
	at   int // in the text of its line
}

// A line is a logical line: physical lines joined by backslashes.
type line struct {
	edit.Joined
	words []word
}

func (l line) kind() string { return l.words[0].text }

// parse returns the logical lines that are neither blank nor comments, after checking that each stands where it may.
func parse(data []byte) ([]line, error) {
	for l := range edit.Lines(data) {
		switch {
		case bytes.HasSuffix(l.Text, []byte(`\\`)) && bytes.TrimLeft(l.Text, blanks)[0] != '#':
			return nil, fmt.Errorf("line %d: two backslashes at its end, of which ifupdown may take one, or both with the next line", l.Number)
		case l.End != "\n" && bytes.HasSuffix(l.Text, []byte(`\`)):
			return nil, fmt.Errorf("line %d: a backslash that is not followed by a plain line feed", l.Number)
		}
	}
	var lines []line
	in := "" // kind of the present stanza
	for at, number := skip(data, 0, 1); at < len(data); at, number = skip(data, at, number) {
		if bytes.TrimLeft(data[at:], blanks)[0] == '\\' {
			return nil, fmt.Errorf("line %d: it begins with a backslash", number)
		}
		now := line{Joined: edit.Join(data, at, number)}
		at, number = now.Whole.To, now.Next
		now.split()
		err := now.check(&in)
		if now.Open {
			err = errors.New("it is continued, and nothing follows")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", now.Line, err)
		}
		lines = append(lines, now)
	}
	return lines, nil
}

// skip goes to the next line that is neither blank nor a comment. It looks before lines are joined: a comment never is.
func skip(data []byte, at, number int) (int, int) {
	for l := range edit.Lines(data[at:]) {
		if text := bytes.TrimLeft(l.Text, blanks); len(text) > 0 && text[0] != '#' {
			return at + l.Start, number
		}
		number++
	}
	return len(data), number
}

func (l *line) split() {
	for i := 0; i < len(l.Text); i++ {
		if strings.IndexByte(blanks, l.Text[i]) >= 0 {
			continue
		}
		j := i
		for j < len(l.Text) && strings.IndexByte(blanks, l.Text[j]) < 0 {
			j++
		}
		l.words = append(l.words, word{string(l.Text[i:j]), i})
		i = j
	}
}

// check follows read_interfaces of ifupdown; in is the kind of the stanza that the line may belong to.
func (l *line) check(in *string) error {
	kind := l.kind()
	switch {
	case kind == "template":
		return errors.New("a template, which not every ifupdown knows")
	case kind == "mapping" && len(l.words) < 2:
		return errors.New("a mapping without a pattern")
	case isStanza(kind) && kind != "mapping" && len(l.words) < 4:
		return errors.New("an interface without name, family and method")
	case isStanza(kind):
		*in = kind
		if kind != "mapping" && strings.Contains(l.words[2].text, "#") {
			return errors.New("a number sign in the family of an interface")
		}
		return nil
	case strings.Contains(kind, "#"):
		return errors.New("a number sign in the name of an option")
	case isList(kind):
		*in = ""
		return nil
	case *in == "":
		return errors.New("an option outside a stanza")
	case len(l.words) < 2:
		return errors.New("an option without a value")
	case *in == "mapping" && kind != "script" && kind != "map":
		return errors.New("a mapping has only script and map")
	}
	return nil
}

// value returns the words from the one with index from, with the blanks between them, and where they stand.
func (l line) value(from int) (string, edit.Span) {
	last := l.words[len(l.words)-1]
	end := last.at + len(last.text)
	if from >= len(l.words) {
		return "", l.Span(end, end)
	}
	begin := l.words[from].at
	return string(l.Text[begin:end]), l.Span(begin, end)
}

// A file is what was read: the settings, and where the next option of each stanza belongs.
type file struct {
	items   []edit.Item
	stanzas map[string]place
}

type place struct {
	at     int // offset of the line after the stanza's last one
	indent string
}

func read(data []byte) (file, error) {
	lines, err := parse(data)
	f := file{stanzas: map[string]place{}}
	seen := map[string]int{}
	stanza := ""
	for _, l := range lines {
		kind := l.kind()
		switch {
		case kind == "mapping":
			stanza = "mapping " + l.words[1].text + " "
			f.stanzas[stanza] = place{l.Whole.To, "    "}
		case isStanza(kind):
			stanza = count(seen, kind+" "+l.words[1].text+" "+l.words[2].text) + " "
			f.stanzas[stanza] = place{l.Whole.To, "    "}
			it := l.item(count(seen, stanza+method), 3)
			it.Whole = edit.Span{} // a stanza is not deleted
			f.items = append(f.items, it)
		case isList(kind):
			f.items = append(f.items, l.item(count(seen, kind), 1))
		default:
			f.stanzas[stanza] = place{l.Whole.To, string(data[l.Whole.From:l.At[l.words[0].at]])}
			f.items = append(f.items, l.item(count(seen, stanza+kind), 1))
		}
	}
	return f, err
}

// count returns the key with its number among the equal ones before it.
func count(seen map[string]int, key string) string {
	seen[key]++
	return withNumber(key, seen[key])
}

// item is the setting on this line whose value begins with the word from.
func (l line) item(key string, from int) edit.Item {
	if l.kind() == "hwaddress" && len(l.words) > 2 && l.words[1].text == "ether" {
		from = 2
	}
	value, at := l.value(from)
	return edit.Item{Key: key, Value: value, Line: l.Line, Text: at, Whole: l.Whole}
}
