package oned

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/text"
)

// Set returns data with key set to value. A single attribute that is absent is added below its commented-out line, else at
// the end; a pair is added behind the last one of its vector; a vector that is absent is made only for a key without
// selector. Anything else that is absent is [text.ErrNoKey]. The NAME of one vector among several stays: it is part of keys.
func Set(data []byte, keyText, value string) ([]byte, error) {
	f, k, err := parseBoth(data, keyText)
	if err != nil {
		return nil, err
	}
	i := f.find(k)
	if i < 0 {
		return f.create(k, value)
	}
	a := f.Attrs[i]
	if err := k.fits(a); err != nil {
		return nil, err
	}
	if now, ok := a.Get(k.pair); ok && now == value {
		return bytes.Clone(data), nil
	}
	if k.pair != "" && (k.pair == k.member || k.pair == "NAME" && len(f.Named(a.Name)) > 1) {
		return nil, fmt.Errorf("cannot set %s: it is what tells this %s from the others", keyText, a.Name)
	}
	want := clone(f.Attrs)
	if k.pair == "" {
		want[i].Value = value
		return f.replace(a.valueAt, a.valueEnd, a.Value, value, want)
	}
	j := a.index(k.pair)
	if j < 0 {
		want[i].Pairs = append(want[i].Pairs, Pair{Name: k.pair, Value: value})
		return f.insertPair(a, k.pair, value, want)
	}
	want[i].Pairs[j].Value = value
	return f.replace(a.Pairs[j].valueAt, a.Pairs[j].valueEnd, a.Pairs[j].Value, value, want)
}

func parseBoth(data []byte, keyText string) (*File, key, error) {
	f, err := Parse(data)
	if err != nil {
		return nil, key{}, err
	}
	k, err := parseKey(keyText)
	return f, k, err
}

// replace puts a value where another one stands. It stays a bare word where it was one and still can be.
func (f *File) replace(at, end int, old, value string, want []Attr) ([]byte, error) {
	if old == value {
		return bytes.Clone(f.src), nil
	}
	raw := value
	if at == end || f.src[at] == '"' || !bareword(value) {
		var err error
		if raw, err = quote(value); err != nil {
			return nil, err
		}
	}
	if at == end && f.src[at-1] == '=' {
		raw = " " + raw
	}
	if end < len(f.src) && isBareByte(f.src[end]) {
		raw += " "
	}
	return f.splice(want, cut{at, end, raw})
}

// A cut replaces the bytes from at to end by new.
type cut struct {
	at, end int
	new     string
}

// splice makes the cuts, in rising order, and proves by reading the result that it holds want and nothing else.
func (f *File) splice(want []Attr, cuts ...cut) ([]byte, error) {
	var out []byte
	pos := 0
	for _, c := range cuts {
		out = append(append(out, f.src[pos:c.at]...), c.new...)
		pos = c.end
	}
	out = append(out, f.src[pos:]...)
	got, err := Parse(out)
	if err != nil {
		return nil, fmt.Errorf("cannot edit safely, the result would not be read: %w", err)
	}
	if !slices.EqualFunc(got.Attrs, want, Attr.same) {
		return nil, fmt.Errorf("cannot edit safely: the result would hold other values than asked for")
	}
	return out, nil
}

// same compares what oned sees of two attributes.
func (a Attr) same(b Attr) bool {
	return a.Name == b.Name && a.Vector == b.Vector && a.Value == b.Value &&
		slices.EqualFunc(a.Pairs, b.Pairs, func(p, q Pair) bool { return p.Name == q.Name && p.Value == q.Value })
}

func clone(attrs []Attr) []Attr {
	out := slices.Clone(attrs)
	for i := range out {
		out[i].Pairs = slices.Clone(out[i].Pairs)
	}
	return out
}

func (f *File) create(k key, value string) ([]byte, error) {
	if k.member != "" || k.nth > 1 {
		return nil, fmt.Errorf("%w: no such %s", text.ErrNoKey, k.name)
	}
	a := Attr{Name: k.name, Value: value}
	if k.pair != "" {
		a = Attr{Name: k.name, Vector: true, Pairs: []Pair{{Name: k.pair, Value: value}}}
	}
	return f.insert(a)
}

// Add returns data with the attribute added behind the last one of its name. It changes nothing when an equal one is there;
// for a vector with a pair NAME, when one of that NAME is there, whatever its other pairs say.
func Add(data []byte, a Attr) ([]byte, error) {
	f, err := Parse(data)
	if err != nil {
		return nil, err
	}
	a.Name = strings.ToUpper(a.Name)
	if slices.ContainsFunc(f.Named(a.Name), func(b Attr) bool { return stands(a, b) }) {
		return bytes.Clone(data), nil
	}
	return f.insert(a)
}

// stands says whether b makes adding a needless.
func stands(a, b Attr) bool {
	name, ok := a.Get("NAME")
	if !ok || !b.Vector {
		return a.same(b)
	}
	other, _ := b.Get("NAME")
	return name == other
}

// insert writes a new attribute: behind its last namesake, else below its commented-out line, else at the end.
func (f *File) insert(a Attr) ([]byte, error) {
	at, sep, last := len(f.src), " = ", -1
	for i, b := range f.Attrs {
		if b.Name == a.Name {
			last = i
		}
	}
	where := len(f.Attrs)
	if last >= 0 {
		if end, ok := f.lineEnd(f.Attrs[last].end); ok {
			at, sep, where = end, f.separator(f.Attrs[last]), last+1
		}
	} else if end, ok := f.commentedOut(a); ok {
		at = end
		where, _ = slices.BinarySearchFunc(f.Attrs, at, func(b Attr, at int) int { return b.start - at })
	}
	text, err := a.text(sep)
	if err != nil {
		return nil, err
	}
	if last >= 0 && len(a.Pairs) > 1 {
		text = "\n" + text
	}
	if at > 0 && f.src[at-1] != '\n' { // a file that lacks its last newline goes on doing so
		text = "\n" + strings.TrimSuffix(text, "\n")
	}
	return f.splice(slices.Insert(clone(f.Attrs), where, a), cut{at, at, text})
}

// lineEnd is the offset behind the newline of the line on which pos stands, if only blanks or a comment follow pos.
func (f *File) lineEnd(pos int) (int, bool) {
	n := bytes.IndexByte(f.src[pos:], '\n')
	if n < 0 {
		return len(f.src), len(bytes.TrimLeft(f.src[pos:], " \t")) == 0
	}
	rest := bytes.TrimLeft(f.src[pos:pos+n], " \t")
	return pos + n + 1, len(rest) == 0 || rest[0] == '#'
}

// separator is what stands between the name and the value of an attribute, so that a namesake lines up with it.
func (f *File) separator(a Attr) string {
	if a.Vector {
		return " = "
	}
	sep := string(f.src[a.start+len(a.Name) : a.valueAt])
	if strings.Trim(sep, " \t") != "=" || !strings.HasPrefix(sep, " ") || !strings.HasSuffix(sep, " ") {
		return " = "
	}
	return sep
}

// commentedOut finds a line such as "# HOSTNAME = "one-hostname"" and returns the offset behind it.
func (f *File) commentedOut(a Attr) (int, bool) {
	for _, c := range f.comments {
		body := strings.TrimLeft(string(f.src[c.pos:c.end]), "# \t")
		n := span([]byte(body), isNameByte)
		rest, ok := strings.CutPrefix(strings.TrimLeft(body[n:], " \t"), "=")
		if ok && strings.EqualFold(body[:n], a.Name) && strings.Contains(rest, "[") == strings.Contains(rest, "]") {
			return c.end + 1, true
		}
	}
	return 0, false
}

// text writes an attribute: a vector of one pair on one line, a larger one with one pair per line (the shell scripts of
// OpenNebula that read these files by grep rely on it).
func (a Attr) text(sep string) (string, error) {
	if a.Name == "" || span([]byte(a.Name), isNameByte) != len(a.Name) {
		return "", fmt.Errorf("cannot write attribute %q: a name has letters, digits and _ only", a.Name)
	}
	if !a.Vector {
		v, err := quote(a.Value)
		return a.Name + sep + v + "\n", err
	}
	pairs := make([]string, len(a.Pairs))
	for i, p := range a.Pairs {
		v, err := quote(p.Value)
		if err != nil {
			return "", err
		}
		pairs[i] = p.Name + " = " + v
	}
	switch len(pairs) {
	case 0:
		return "", fmt.Errorf("cannot write attribute %s: oned dies of an empty vector", a.Name)
	case 1:
		return a.Name + " = [ " + pairs[0] + " ]\n", nil
	}
	return a.Name + " = [\n    " + strings.Join(pairs, ",\n    ") + "\n]\n", nil
}
