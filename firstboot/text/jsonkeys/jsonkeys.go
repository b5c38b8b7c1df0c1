// Package jsonkeys reads and sets single values of a JSON file, such as Vitastor's vitastor.conf, and leaves every other byte:
// order, indent and numbers stay as somebody wrote them.
//
// A key is the path of member names and array indexes: "etcd_address", "etcd_address/0". Strings are decoded; numbers, true,
// false and null are the text that stands there. Objects and arrays have no value of their own. A name with a slash in it has no
// key here.
package jsonkeys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
)

// ErrSyntax is wrapped by every error about a file that is not one JSON object.
var ErrSyntax = errors.New("cannot read JSON")

// Codec is the view of a JSON object as keys and values.
func Codec() text.Codec {
	return text.Codec{Name: "json", Get: get, Set: set, List: list}
}

// An entry is one scalar and where it stands, quotes included.
type entry struct {
	text.Entry
	at, end int
}

// An object remembers where a new member would go: behind last, which is -1 in an empty object.
type object struct {
	entries []entry
	names   map[string]bool // members of the first level
	first   int             // offset of the first name, 0 in an empty object
	last    int             // offset behind the last value
	open    int             // offset behind the brace
}

func parse(data []byte) (*object, error) {
	body := bytes.TrimLeft(data, " \t\r\n")
	if len(body) == 0 || body[0] != '{' {
		return nil, fmt.Errorf("%w: it does not begin with a brace", ErrSyntax)
	}
	o := &object{names: map[string]bool{}, last: -1, open: len(data) - len(body) + 1}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := o.value(d, data, ""); err != nil {
		return nil, fmt.Errorf("%w: line %d: %w", ErrSyntax, lineAt(data, int(d.InputOffset())), err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows the object", ErrSyntax)
	}
	return o, nil
}

// value reads one value and all below it.
func (o *object) value(d *json.Decoder, data []byte, key string) error {
	start := skip(data, int(d.InputOffset()))
	t, err := d.Token()
	if err != nil {
		return eof(err)
	}
	switch t {
	case json.Delim('{'):
		return o.members(d, data, key)
	case json.Delim('['):
		return o.elements(d, data, key)
	}
	e := entry{text.Entry{Key: key, Line: lineAt(data, start)}, start, int(d.InputOffset())}
	e.Value = string(data[e.at:e.end])
	if s, ok := t.(string); ok {
		e.Value = s
	}
	if !strings.HasPrefix(key, "\x00") {
		o.entries = append(o.entries, e)
	}
	return nil
}

func (o *object) members(d *json.Decoder, data []byte, key string) error {
	seen := map[string]bool{}
	for d.More() {
		at := skip(data, int(d.InputOffset()))
		t, err := d.Token()
		if err != nil {
			return eof(err)
		}
		name, ok := t.(string)
		if !ok {
			return errors.New("a member has no name")
		}
		if seen[name] {
			return fmt.Errorf("%q stands twice", name)
		}
		seen[name] = true
		if key == "" {
			o.names[name] = true
			if o.first == 0 {
				o.first = at
			}
		}
		if err := o.value(d, data, join(key, name)); err != nil {
			return err
		}
		if key == "" {
			o.last = int(d.InputOffset())
		}
	}
	_, err := d.Token()
	return eof(err)
}

func (o *object) elements(d *json.Decoder, data []byte, key string) error {
	for i := 0; d.More(); i++ {
		if err := o.value(d, data, join(key, strconv.Itoa(i))); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return eof(err)
}

// join makes a key; one that cannot be told from another begins with NUL and is not listed.
func join(key, name string) string {
	if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(key, "\x00") {
		return "\x00"
	}
	if key == "" {
		return name
	}
	return key + "/" + name
}

func eof(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skip moves over blanks, commas and colons to where a token starts.
func skip(data []byte, at int) int {
	for at < len(data) && bytes.IndexByte([]byte(" \t\r\n,:"), data[at]) >= 0 {
		at++
	}
	return at
}

func lineAt(data []byte, at int) int { return 1 + bytes.Count(data[:min(at, len(data))], []byte("\n")) }

func list(data []byte) ([]text.Entry, error) {
	o, err := parse(data)
	if err != nil {
		return nil, err
	}
	var out []text.Entry
	for _, e := range o.entries {
		out = append(out, e.Entry)
	}
	return out, nil
}

func (o *object) find(key string) (entry, bool) {
	for _, e := range o.entries {
		if e.Key == key {
			return e, true
		}
	}
	return entry{}, false
}

func get(data []byte, key string) (string, bool, error) {
	o, err := parse(data)
	if err != nil {
		return "", false, err
	}
	e, ok := o.find(key)
	return e.Value, ok, nil
}

// set changes one scalar, or adds a string as the last member of the object. Deeper members that are absent are ErrNoKey.
func set(data []byte, key, value string) ([]byte, error) {
	o, err := parse(data)
	if err != nil {
		return nil, err
	}
	e, ok := o.find(key)
	switch {
	case ok && e.Value == value:
		return bytes.Clone(data), nil
	case ok:
		raw := quote(value)
		if data[e.at] != '"' && literal(value) {
			raw = value
		}
		return prove(splice(data, e.at, e.end, raw), key, value)
	case o.names[key]:
		return nil, fmt.Errorf("cannot set %s: it is no single value", key)
	case key == "" || strings.ContainsAny(key, "/\x00"):
		return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
	case o.last < 0:
		return prove(splice(data, o.open, o.open, quote(key)+": "+quote(value)), key, value)
	}
	between := string(data[o.open:o.first])
	return prove(splice(data, o.last, o.last, ","+between+quote(key)+": "+quote(value)), key, value)
}

func splice(data []byte, at, end int, new string) []byte {
	return append(append(bytes.Clone(data[:at]), new...), data[end:]...)
}

// prove reads the result before anybody else does: a value that is not UTF-8 does not come back.
func prove(out []byte, key, value string) ([]byte, error) {
	got, ok, err := get(out, key)
	if err != nil || !ok || got != value {
		return nil, fmt.Errorf("cannot set %s: the value %q does not fit into JSON", key, value)
	}
	return out, nil
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// literal tells whether s is a number, true, false or null.
func literal(s string) bool {
	return json.Valid([]byte(s)) && strings.TrimSpace(s) == s && s[0] != '"' && s[0] != '{' && s[0] != '['
}
