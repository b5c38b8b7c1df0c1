// Package hosts edits hosts(5) files: addresses and names change, blanks, tabs, comments and order stay.
//
// A name is matched whole: packstack is not packstack2, whatever stands between it and its neighbour.
package hosts

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
)

// Codec gives each address line the key "entry N", counted from 1; its value is "address name name...".
var Codec = text.Codec{Name: "hosts", Get: get, Set: set, List: list}

// An Entry is one line that maps an address to names.
type Entry struct {
	Addr  netip.Addr
	Names []string
	Line  int // 1-based
}

// word is a run of non-blanks in the file.
type word struct{ from, to int }

// each calls f for every address line with the words before its comment.
func each(data []byte, f func(line int, words []word) error) error {
	start := 0
	for n := 1; start < len(data); n++ {
		end := len(data)
		if i := bytes.IndexByte(data[start:], '\n'); i >= 0 {
			end = start + i
		}
		if w := words(data, start, end); len(w) > 0 {
			if err := f(n, w); err != nil {
				return err
			}
		}
		start = end + 1
	}
	return nil
}

func words(data []byte, from, to int) []word {
	if i := bytes.IndexByte(data[from:to], '#'); i >= 0 {
		to = from + i
	}
	var out []word
	for i := from; i < to; {
		if blank(data[i]) {
			i++
			continue
		}
		j := i
		for j < to && !blank(data[j]) {
			j++
		}
		out = append(out, word{i, j})
		i = j
	}
	return out
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// Parse returns the entries in file order. A line whose first word is no address is skipped, as glibc does.
func Parse(data []byte) []Entry {
	var out []Entry
	_ = each(data, func(line int, words []word) error {
		addr, err := netip.ParseAddr(string(data[words[0].from:words[0].to]))
		if err != nil {
			return nil
		}
		e := Entry{Addr: addr, Line: line}
		for _, w := range words[1:] {
			e.Names = append(e.Names, string(data[w.from:w.to]))
		}
		out = append(out, e)
		return nil
	})
	return out
}

// Lookup returns the first address of a name, in any case, as a resolver would find it.
func Lookup(data []byte, name string) (netip.Addr, bool) {
	for _, e := range Parse(data) {
		if slices.ContainsFunc(e.Names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return e.Addr, true
		}
	}
	return netip.Addr{}, false
}

// Rewrite calls f for every entry and writes what it returns, word for word: the number of names must stay.
func Rewrite(data []byte, f func(addr netip.Addr, names []string) (netip.Addr, []string)) ([]byte, error) {
	var out []byte
	last := 0
	put := func(w word, now string) {
		if now != string(data[w.from:w.to]) {
			out = append(append(out, data[last:w.from]...), now...)
			last = w.to
		}
	}
	err := each(data, func(line int, words []word) error {
		text := func(w word) string { return string(data[w.from:w.to]) }
		addr, err := netip.ParseAddr(text(words[0]))
		if err != nil {
			return nil
		}
		var names []string
		for _, w := range words[1:] {
			names = append(names, text(w))
		}
		to, renamed := f(addr, slices.Clone(names))
		if len(renamed) != len(names) {
			return fmt.Errorf("cannot rewrite line %d: %d names became %d", line, len(names), len(renamed))
		}
		if to != addr {
			put(words[0], to.String())
		}
		for i, w := range words[1:] {
			if err := checkName(renamed[i]); err != nil {
				return fmt.Errorf("cannot rewrite line %d: %w", line, err)
			}
			put(w, renamed[i])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(out, data[last:]...), nil
}

// Ensure makes the entry that has the first of names carry addr, with all names that share its line, and appends an entry
// where there is none.
func Ensure(data []byte, addr netip.Addr, names ...string) ([]byte, error) {
	if len(names) == 0 {
		return nil, fmt.Errorf("cannot add %s to hosts: no name", addr)
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return nil, err
		}
	}
	if now, ok := Lookup(data, names[0]); ok {
		if now == addr {
			return data, nil
		}
		return Rewrite(data, func(a netip.Addr, have []string) (netip.Addr, []string) {
			if a == now && slices.ContainsFunc(have, func(n string) bool { return strings.EqualFold(n, names[0]) }) {
				return addr, have
			}
			return a, have
		})
	}
	eol := "\n"
	if bytes.Contains(data, []byte("\r\n")) {
		eol = "\r\n"
	}
	out := slices.Clone(data)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, eol...)
	}
	return append(out, addr.String()+"\t"+strings.Join(names, " ")+eol...), nil
}

func checkName(n string) error {
	if n == "" || strings.ContainsAny(n, " \t\r\n\v\f#") {
		return fmt.Errorf("%q is no host name", n)
	}
	return nil
}

func index(key string) (int, error) {
	n, ok := strings.CutPrefix(key, "entry ")
	i, err := strconv.Atoi(n)
	if !ok || err != nil || i < 1 {
		return 0, fmt.Errorf("key %q is not \"entry N\"", key)
	}
	return i, nil
}

func value(e Entry) string { return strings.Join(append([]string{e.Addr.String()}, e.Names...), " ") }

func get(data []byte, key string) (string, bool, error) {
	i, err := index(key)
	if err != nil {
		return "", false, err
	}
	entries := Parse(data)
	if i > len(entries) {
		return "", false, nil
	}
	return value(entries[i-1]), true, nil
}

func set(data []byte, key, val string) ([]byte, error) {
	i, err := index(key)
	if err != nil {
		return nil, err
	}
	f := strings.Fields(val)
	if len(f) == 0 {
		return nil, fmt.Errorf("cannot set %s: no address", key)
	}
	addr, err := netip.ParseAddr(f[0])
	if err != nil {
		return nil, fmt.Errorf("cannot set %s: %w", key, err)
	}
	if i > len(Parse(data)) {
		return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
	}
	n := 0
	return Rewrite(data, func(a netip.Addr, names []string) (netip.Addr, []string) {
		if n++; n != i {
			return a, names
		}
		return addr, f[1:]
	})
}

func list(data []byte) ([]text.Entry, error) {
	var out []text.Entry
	for i, e := range Parse(data) {
		out = append(out, text.Entry{Key: fmt.Sprintf("entry %d", i+1), Value: value(e), Line: e.Line})
	}
	return out, nil
}
