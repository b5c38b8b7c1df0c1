package oned

import (
	"fmt"
	"strconv"
	"strings"
)

// A key is a parsed address of one value; see the package comment for its forms.
type key struct {
	name          string // upper case
	nth           int    // 1-based; 0: no index
	pair          string // upper case; empty: the attribute itself
	member, value string // the selector [member=value]
}

func parseKey(s string) (key, error) {
	bad := func(why string) (key, error) {
		return key{}, fmt.Errorf("cannot read key %q: %s\nhint: NAME, NAME/PAIR, NAME[2]/PAIR or NAME[PAIR=value]/PAIR", s, why)
	}
	n := span([]byte(s), isNameByte)
	k, rest := key{name: strings.ToUpper(s[:n])}, s[n:]
	if n == 0 {
		return bad("no name")
	}
	if inner, ok := strings.CutPrefix(rest, "["); ok {
		end := strings.LastIndexByte(inner, ']')
		if end < 0 {
			return bad("no closing bracket")
		}
		if !k.selector(inner[:end]) {
			return bad("the brackets hold neither a number nor PAIR=value")
		}
		rest = inner[end+1:]
	}
	if rest == "" {
		return k, nil
	}
	pair, ok := strings.CutPrefix(rest, "/")
	if !ok || pair == "" || span([]byte(pair), isNameByte) != len(pair) {
		return bad("what follows the name is no /PAIR")
	}
	k.pair = strings.ToUpper(pair)
	return k, nil
}

func (k *key) selector(s string) bool {
	if m, v, ok := strings.Cut(s, "="); ok {
		k.member, k.value = strings.ToUpper(m), v
		return m != "" && span([]byte(m), isNameByte) == len(m)
	}
	n, err := strconv.Atoi(s)
	k.nth = n
	return err == nil && n > 0
}

// find returns the index of the attribute that k speaks of, -1 when there is none.
func (f *File) find(k key) int {
	nth := max(k.nth, 1)
	for i, a := range f.Attrs {
		if a.Name != k.name {
			continue
		}
		if k.member != "" {
			if v, ok := a.Get(k.member); !ok || v != k.value {
				continue
			}
		}
		if nth--; nth == 0 {
			return i
		}
	}
	return -1
}

// Named returns all attributes of that name in file order.
func (f *File) Named(name string) []Attr {
	var out []Attr
	for _, a := range f.Attrs {
		if a.Name == strings.ToUpper(name) {
			out = append(out, a)
		}
	}
	return out
}

// Get returns the value that key addresses. A vector has no value of its own, only its pairs have.
func (f *File) Get(keyText string) (string, bool, error) {
	k, err := parseKey(keyText)
	if err != nil {
		return "", false, err
	}
	i := f.find(k)
	if i < 0 {
		return "", false, nil
	}
	if err := k.fits(f.Attrs[i]); err != nil {
		return "", false, err
	}
	if k.pair == "" {
		return f.Attrs[i].Value, true, nil
	}
	v, ok := f.Attrs[i].Get(k.pair)
	return v, ok, nil
}

// fits refuses to take a vector for a value and the reverse.
func (k key) fits(a Attr) error {
	switch {
	case k.pair == "" && a.Vector:
		return fmt.Errorf("%s at line %d is a vector\nhint: name one of its pairs, as in %s/%s", a.Name, a.Line, a.Name, a.Pairs[0].Name)
	case k.pair != "" && !a.Vector:
		return fmt.Errorf("%s at line %d is a single value, it has no %s", a.Name, a.Line, k.pair)
	}
	return nil
}

// keyOf is the shortest key that addresses attribute i and no other one: NAME, NAME[NAME=value] or NAME[n].
func (f *File) keyOf(i int) string {
	a, nth, total := f.Attrs[i], 0, 0
	for j, b := range f.Attrs {
		if b.Name == a.Name {
			total++
			if j <= i {
				nth++
			}
		}
	}
	if total == 1 {
		return a.Name
	}
	if name, ok := a.Get("NAME"); ok && f.find(key{name: a.Name, member: "NAME", value: name}) == i {
		return a.Name + "[NAME=" + name + "]"
	}
	return fmt.Sprintf("%s[%d]", a.Name, nth)
}
