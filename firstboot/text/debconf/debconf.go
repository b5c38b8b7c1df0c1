// Package debconf edits the answers that Debian's packages remember: /var/cache/debconf/config.dat and passwords.dat.
// Debconf/Format/822.pm of debconf 1.5 is its law:
//
//   - a question is a run of "Field: value" lines up to an empty line; its Name is the key, such as "nova/my-ip";
//   - field names are case-insensitive, and one blank behind the colon is not part of the value;
//   - a line end in a value is written as \n, and nothing else is escaped: a backslash before an n has no spelling;
//   - the indented lines below "Variables:" are substitutions, not fields;
//   - where a question stands twice, the last one is in force.
//
// The value of a key is its Value field: absent while nobody has answered, and then the template's default is in force.
// Flags (such as "seen"), Owners and Variables are left alone. debconf rewrites the whole file when it ends: nobody may have
// it open (no dpkg, no apt) while it is edited.
package debconf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets answers. Set adds a Value to a question that has none; a question that debconf does not know is
// [text.ErrNoKey], since only its package can say what template it has. Delete forgets the answer, not the question.
var Codec = format.Codec()

var format = edit.Format{Name: "debconf", Scan: scan, ID: id, Encode: encode, Add: add, Deletes: true}

// A question is one stanza.
type question struct {
	name   string
	values []edit.Item
	value  int // offset where a line with its Value belongs
}

func scan(data []byte) ([]edit.Item, error) {
	questions, err := parse(data)
	if err != nil {
		return nil, err
	}
	last := map[string]int{}
	for i, q := range questions {
		last[q.name] = i
	}
	var items []edit.Item
	for i, q := range questions {
		if last[q.name] == i {
			items = append(items, q.values...)
		}
	}
	return items, nil
}

func id(key string) (string, error) {
	if key == "" || strings.ContainsAny(key, "\r\n") {
		return "", fmt.Errorf("cannot use %q as a key: it is no name of a question", key)
	}
	return key, nil
}

type parser struct {
	questions []question
	now       question
	named     bool
	variables bool
}

func parse(data []byte) ([]question, error) {
	var p parser
	for l := range edit.Lines(data) {
		if bytes.IndexByte(l.Text, '\r') >= 0 || l.End == "\r\n" {
			return nil, fmt.Errorf("line %d: a carriage return, which debconf takes for a part of the value", l.Number)
		}
		if err := p.line(l); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.Number, err)
		}
	}
	p.flush()
	return p.questions, nil
}

func (p *parser) flush() {
	if p.named {
		for i := range p.now.values {
			p.now.values[i].Key = p.now.name
		}
		p.questions = append(p.questions, p.now)
	}
	*p = parser{questions: p.questions}
}

func (p *parser) line(l edit.Line) error {
	if len(l.Text) == 0 {
		p.flush()
		return nil
	}
	if strings.IndexByte(blanks, l.Text[0]) >= 0 {
		if !p.variables {
			return errors.New("an indented line that belongs to nothing")
		}
		return nil
	}
	colon := bytes.IndexByte(l.Text, ':')
	if colon <= 0 {
		return errors.New(`not of the form "Field: value"`)
	}
	p.variables = false
	return p.field(l, strings.ToLower(string(l.Text[:colon])), colon+1)
}

const blanks = " \t\f\v"

// field takes a line whose value, with the blank before it, begins at from.
func (p *parser) field(l edit.Line, name string, from int) error {
	value := l.Text[from:]
	if len(value) > 0 && strings.IndexByte(blanks, value[0]) >= 0 {
		value = value[1:]
	}
	switch name {
	case "name":
		if p.named || len(value) == 0 {
			return errors.New("a question with two names or an empty one")
		}
		p.now.name, p.named = string(value), true
	case "value":
		it := edit.Item{Value: decode(string(value)), Line: l.Number, Text: l.Span(), Whole: edit.Span{From: l.Start, To: l.Stop()}}
		it.Text.From = l.Span().To - len(value)
		p.now.values = append(p.now.values, it)
	case "variables":
		p.variables = true
		return nil
	case "owners", "flags":
		return nil
	}
	p.now.value = l.Stop()
	return nil
}

func decode(written string) string { return strings.ReplaceAll(written, `\n`, "\n") }

func spell(value string) string { return strings.ReplaceAll(value, "\n", `\n`) }

func encode(data []byte, it edit.Item, value string) (string, error) {
	if data[it.Text.From-1] == ':' {
		return " " + spell(value), nil
	}
	return spell(value), nil
}

func add(data []byte, _ []edit.Item, key, value string) ([]byte, error) {
	questions, err := parse(data)
	if err != nil {
		return nil, err
	}
	for i := len(questions) - 1; i >= 0; i-- {
		if q := questions[i]; q.name == key {
			return edit.InsertLines(data, q.value, "Value: "+spell(value)), nil
		}
	}
	return nil, fmt.Errorf("%w: debconf knows no question %s", text.ErrNoKey, key)
}
