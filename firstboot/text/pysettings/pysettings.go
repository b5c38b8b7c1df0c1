// Package pysettings edits Django settings, such as Horizon's local_settings: Python source whose top-level assignments are
// the settings. It reads Python's tokens (Lexical analysis, Python 3 reference), never runs anything, and writes only what
// it can prove to be Python still.
//
// A key is the NAME of a top-level assignment "NAME = value", a value is the source text of the right side (line ends as
// "\n"). The last assignment wins. Strings, comments, docstrings, dict bodies and indented code are never taken for one.
// What a name is worth cannot be told, and asking for it is an error, where the last assignment is not the last word:
// behind "+=", among several targets, or when a block (if, try, for, with), an import, def or del binds it later.
//
// Not followed: what "import *", calls (NAME.append) and subscripts (NAME["x"] = ...) do to a name. [Strings] sees the last.
package pysettings

import (
	"errors"
	"fmt"

	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets the source text of single settings. A new value is a literal (strings, numbers, True, False, None,
// and lists, tuples, sets and dicts of them), or it is what stands there with other strings in it. A missing setting is
// added at the end of the file.
var Codec = format.Codec()

var format = edit.Format{Name: "pysettings", Scan: scan, ID: id, Encode: encode, Add: add}

func id(key string) (string, error) {
	if !isName(key) {
		return "", fmt.Errorf("cannot use %q as a key: it is no name of Python", key)
	}
	return key, nil
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	if err := checkValue(value); err != nil && !sameShape(it.Value, value) {
		return "", err
	}
	return edit.Unified(value, edit.LineEnd(data, it.Text.From)), nil
}

func add(data []byte, _ []edit.Item, key, value string) ([]byte, error) {
	if err := checkValue(value); err != nil {
		return nil, err
	}
	end := edit.LineEnd(data, len(data))
	return edit.InsertLines(data, len(data), key+" = "+edit.Unified(value, end)), nil
}

// find returns the assignment of name that is in force.
func find(data []byte, name string) (edit.Item, bool, error) {
	if _, _, err := Codec.Get(data, name); err != nil {
		return edit.Item{}, false, err
	}
	items, err := scan(data)
	if err != nil {
		return edit.Item{}, false, err
	}
	it, ok := edit.Find(items, name)
	return it, ok, nil
}

// GetString returns the string that name is set to. A right side that is not one string is an error.
func GetString(data []byte, name string) (string, bool, error) {
	it, ok, err := find(data, name)
	if err != nil || !ok {
		return "", false, err
	}
	e, err := parseString(it.Value)
	if err != nil {
		return "", false, fmt.Errorf("line %d: cannot read %s: %w", it.Line, name, err)
	}
	return e.value, true, nil
}

// SetString sets name to a string, in the quotes that it has. A right side that is something else than one string is not
// replaced but an error: for that, [Codec] and [Quote] serve.
func SetString(data []byte, name, value string) ([]byte, error) {
	it, ok, err := find(data, name)
	if err != nil {
		return nil, err
	}
	if !ok {
		quoted, err := Quote(value)
		if err != nil {
			return nil, err
		}
		return Codec.Set(data, name, quoted)
	}
	e, err := parseString(it.Value)
	if err != nil {
		return nil, fmt.Errorf("line %d: cannot set %s: %w", it.Line, name, err)
	}
	if e.value == value {
		return data, nil
	}
	written, err := e.style.spell(value, "\n")
	if err != nil {
		return nil, fmt.Errorf("cannot set %s: %w", name, err)
	}
	return Codec.Set(data, name, string(edit.Splice([]byte(it.Value), e.span, written)))
}

// Quote returns a string literal for value.
func Quote(value string) (string, error) { return style{quote: "'"}.spell(value, "\n") }

// A Literal is one string literal on the right side of a top-level assignment: in a list, in a dict as key or value, as
// the argument of a call. Adjacent literals that Python would join are listed one by one.
type Literal struct {
	Name  string // the target as written: "CACHES", `HORIZON_CONFIG["help_url"]`
	Value string // decoded
	Line  int    // 1-based, of its first byte
	Span  edit.Span
}

// Strings returns the string literals of all top-level assignments, those that a later one overrides included, in file
// order. What carries no plain text is left out: bytes, f-strings, \N{names}, lone surrogates.
func Strings(data []byte) ([]Literal, error) {
	found, err := assignments(data)
	if err != nil {
		return nil, err
	}
	var all []Literal
	for _, a := range found {
		for _, t := range a.right {
			value, _, err := decode(t.text)
			if t.kind != str || err != nil {
				continue
			}
			all = append(all, Literal{Name: a.target, Value: value, Line: t.line, Span: t.span})
		}
	}
	return all, nil
}

// ReplaceLiteral returns data with one of the literals that Strings has just listed set to value, in the quotes that it has.
// The spans of later literals move: list again, or use [MapStrings].
func ReplaceLiteral(data []byte, lit Literal, value string) ([]byte, error) {
	found, err := Strings(data)
	if err != nil {
		return nil, err
	}
	for _, l := range found {
		if l != lit {
			continue
		}
		out, err := replace(data, lit, value)
		if err != nil {
			return nil, err
		}
		return proved(out, found, func(l Literal) string {
			if l == lit {
				return value
			}
			return l.Value
		})
	}
	return nil, fmt.Errorf("cannot replace a string of %s on line %d: it is not there any more", lit.Name, lit.Line)
}

// MapStrings returns data with the value of every listed literal replaced by what to makes of it.
func MapStrings(data []byte, to func(Literal) string) ([]byte, error) {
	found, err := Strings(data)
	if err != nil {
		return nil, err
	}
	out := data
	for i := len(found) - 1; i >= 0; i-- {
		if out, err = replace(out, found[i], to(found[i])); err != nil {
			return nil, err
		}
	}
	return proved(out, found, to)
}

func replace(data []byte, lit Literal, value string) ([]byte, error) {
	if value == lit.Value {
		return data, nil
	}
	_, s, err := decode(string(lit.Span.Of(data)))
	if err != nil {
		return nil, err
	}
	written, err := s.spell(value, edit.LineEnd(data, lit.Span.From))
	if err != nil {
		return nil, fmt.Errorf("line %d: cannot replace a string of %s: %w", lit.Line, lit.Name, err)
	}
	return edit.Splice(data, lit.Span, apart(data, lit.Span, written)), nil
}

// apart keeps a literal from growing together with one that touches it: an empty string and a quote behind it would begin a
// text in three quotes.
func apart(data []byte, s edit.Span, written string) string {
	if s.From > 0 && isQuote(data[s.From-1]) {
		written = " " + written
	}
	if s.To < len(data) && isQuote(data[s.To]) {
		written += " "
	}
	return written
}

func isQuote(c byte) bool { return c == '"' || c == '\'' }

// proved returns out when it reads as intended.
func proved(out []byte, was []Literal, to func(Literal) string) ([]byte, error) {
	is, err := Strings(out)
	if err != nil {
		return nil, err
	}
	if len(is) != len(was) {
		return nil, errors.New("cannot replace strings: some would appear or vanish")
	}
	for i, l := range was {
		if is[i].Value != to(l) || is[i].Name != l.Name {
			return nil, fmt.Errorf("line %d: cannot replace a string of %s so that it reads back", l.Line, l.Name)
		}
	}
	return out, nil
}
