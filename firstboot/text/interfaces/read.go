package interfaces

import (
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
	words  []word
	text   []byte
	offset []int // in the file, of each byte of text
	number int   // of its first physical line
	whole  edit.Span
}

// span returns where text[from:to] stands in the file; a line continuation may be inside.
func (l line) span(from, to int) edit.Span {
	return edit.Span{From: l.offset[from], To: l.offset[to-1] + 1}
}

func (l line) kind() string { return l.words[0].text }

// parse returns the logical lines that are neither blank nor comments, after checking that each stands where it may.
func parse(data []byte) ([]line, error) {
	var lines []line
	var now line
	open, in := false, "" // inside a continued line; kind of the present stanza
	for l := range edit.Lines(data) {
		if !open {
			now = line{number: l.Number, whole: edit.Span{From: l.Start}}
			if text := strings.TrimLeft(string(l.Text), blanks); text == "" || text[0] == '#' {
				continue
			}
		}
		text, continued := strings.CutSuffix(string(l.Text), `\`)
		if continued && l.End != "\n" {
			return nil, fmt.Errorf("line %d: a backslash that is not followed by a plain line feed", l.Number)
		}
		now.append(text, l)
		if open = continued; open {
			continue
		}
		if now.split(); len(now.words) == 0 {
			continue
		}
		if err := now.check(&in); err != nil {
			return nil, fmt.Errorf("line %d: %w", now.number, err)
		}
		lines = append(lines, now)
	}
	if open {
		return nil, fmt.Errorf("line %d: it is continued, and nothing follows", now.number)
	}
	return lines, nil
}

func (l *line) append(text string, from edit.Line) {
	l.text = append(l.text, text...)
	for i := range len(text) {
		l.offset = append(l.offset, from.Start+i)
	}
	l.whole.To = from.Stop()
}

func (l *line) split() {
	for i := 0; i < len(l.text); i++ {
		if strings.IndexByte(blanks, l.text[i]) >= 0 {
			continue
		}
		j := i
		for j < len(l.text) && strings.IndexByte(blanks, l.text[j]) < 0 {
			j++
		}
		l.words = append(l.words, word{string(l.text[i:j]), i})
		i = j
	}
}

// check follows read_interfaces of ifupdown; in is the kind of the stanza that the line may belong to.
func (l *line) check(in *string) error {
	kind := l.kind()
	switch {
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
	}
	return nil
}

// value returns the words from the one with index from, with the blanks between them, and where they stand.
func (l line) value(from int) (string, edit.Span) {
	last := l.words[len(l.words)-1]
	end := last.at + len(last.text)
	if from >= len(l.words) {
		return "", edit.Span{From: l.offset[end-1] + 1, To: l.offset[end-1] + 1}
	}
	begin := l.words[from].at
	return string(l.text[begin:end]), l.span(begin, end)
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
			f.stanzas[stanza] = place{l.whole.To, "    "}
		case isStanza(kind):
			stanza = count(seen, kind+" "+l.words[1].text+" "+l.words[2].text) + " "
			f.stanzas[stanza] = place{l.whole.To, "    "}
			it := l.item(count(seen, stanza+method), 3)
			it.Whole = edit.Span{} // a stanza is not deleted
			f.items = append(f.items, it)
		case isList(kind):
			f.items = append(f.items, l.item(count(seen, kind), 1))
		default:
			f.stanzas[stanza] = place{l.whole.To, string(data[l.whole.From:l.offset[l.words[0].at]])}
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
	return edit.Item{Key: key, Value: value, Line: l.number, Text: at, Whole: l.whole}
}
