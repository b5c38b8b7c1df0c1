// Package hosts edits hosts(5) files: addresses and names change, blanks, tabs, comments and order stay.
//
// A name is matched whole: packstack is not packstack2, whatever stands between it and its neighbour.
package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec gives each address line the key "entry N", counted from 1; its value is "address name name...", with the address
// as netip prints it and single blanks. The entry after the last one may be set, and is appended.
var Codec = edit.Format{Name: "hosts", Scan: scan, ID: id, Encode: encode, Add: add}.Codec()

// An Entry is one line that maps an address to names.
type Entry struct {
	Addr  netip.Addr
	Names []string
	Line  int // 1-based
}

// A line is an entry and where its words stand.
type line struct {
	Entry
	words []edit.Span
}

// entries returns the address lines. A line whose first word is no address is skipped, as glibc does.
func entries(data []byte) []line {
	var out []line
	for l := range edit.Lines(data) {
		w := words(data, l.Span())
		if len(w) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(string(w[0].Of(data)))
		if err != nil {
			continue
		}
		e := line{Entry{Addr: addr, Line: l.Number}, w}
		for _, name := range w[1:] {
			e.Names = append(e.Names, string(name.Of(data)))
		}
		out = append(out, e)
	}
	return out
}

// words returns the runs of non-blanks before the comment.
func words(data []byte, in edit.Span) []edit.Span {
	if i := bytes.IndexByte(in.Of(data), '#'); i >= 0 {
		in.To = in.From + i
	}
	var out []edit.Span
	for i := in.From; i < in.To; {
		if blank(data[i]) {
			i++
			continue
		}
		j := i
		for j < in.To && !blank(data[j]) {
			j++
		}
		out = append(out, edit.Span{From: i, To: j})
		i = j
	}
	return out
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f' }

// Parse returns the entries in file order. A line whose first word is no address is skipped, as glibc does.
func Parse(data []byte) []Entry {
	var out []Entry
	for _, l := range entries(data) {
		out = append(out, l.Entry)
	}
	return out
}

// Lookup returns the first address of a name, in any case, as a resolver would find it.
func Lookup(data []byte, name string) (netip.Addr, bool) {
	for _, e := range Parse(data) {
		if e.has(name) {
			return e.Addr, true
		}
	}
	return netip.Addr{}, false
}

func (e Entry) has(name string) bool { return contains(e.Names, name) }

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// Rewrite calls f for every entry and writes the address and names that it returns, word for word in the place of the old
// ones. Names more than before follow the last one; fewer leave no gap. To return no name for a line that had some is an
// error: it would be lost.
func Rewrite(data []byte, f func(addr netip.Addr, names []string) (netip.Addr, []string)) ([]byte, error) {
	var out []byte
	last := 0
	for _, l := range entries(data) {
		addr, names := f(l.Addr, slices.Clone(l.Names))
		if addr == l.Addr && slices.Equal(names, l.Names) {
			continue
		}
		spelled, err := l.respell(data, addr, names)
		if err != nil {
			return nil, fmt.Errorf("cannot rewrite line %d: %w", l.Line, err)
		}
		out = append(append(out, data[last:l.words[0].From]...), spelled...)
		last = l.words[len(l.words)-1].To
	}
	return append(out, data[last:]...), nil
}

// respell writes the entry's words anew and keeps what stands between them.
func (l line) respell(data []byte, addr netip.Addr, names []string) (string, error) {
	if err := checkAddr(addr); err != nil {
		return "", err
	}
	if len(names) == 0 && len(l.Names) > 0 {
		return "", errors.New("no name is left")
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return "", err
		}
	}
	first := addr.String()
	if addr == l.Addr {
		first = string(l.words[0].Of(data))
	}
	var b strings.Builder
	b.WriteString(first)
	for i, n := range names {
		b.WriteString(l.gap(data, i) + n)
	}
	return b.String(), nil
}

// gap returns the blanks before the name with index i, or those before the last name for a name that is new.
func (l line) gap(data []byte, i int) string {
	if i = min(i, len(l.words)-2); i < 0 {
		return "\t"
	}
	return string(data[l.words[i].To:l.words[i+1].From])
}

// Ensure makes all names resolve to addr, among the addresses of its family:
//
//   - an entry that has one of them under another address carries addr from now on, with all names that share its line;
//   - except for a loopback entry, which keeps its other names (localhost among them) and loses these;
//   - names that addr does not have then are added to its entry, or in a new one at the end of the file.
func Ensure(data []byte, addr netip.Addr, names ...string) ([]byte, error) {
	if err := checkAddr(addr); err != nil {
		return nil, fmt.Errorf("cannot add %q to hosts: %w", names, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("cannot add %s to hosts: no name", addr)
	}
	for _, n := range names {
		if err := checkName(n); err != nil {
			return nil, fmt.Errorf("cannot add %s to hosts: %w", addr, err)
		}
	}
	out, err := Rewrite(data, func(a netip.Addr, have []string) (netip.Addr, []string) {
		rest := slices.DeleteFunc(slices.Clone(have), func(n string) bool { return contains(names, n) })
		switch {
		case a == addr || a.Is4() != addr.Is4() || len(rest) == len(have):
			return a, have
		case a.IsLoopback() && len(rest) > 0:
			return a, rest
		}
		return addr, have
	})
	if err != nil {
		return nil, err
	}
	return addNames(out, addr, names)
}

// addNames adds those names that addr does not have on any line.
func addNames(data []byte, addr netip.Addr, names []string) ([]byte, error) {
	present := false
	missing := slices.Clone(names)
	for _, e := range Parse(data) {
		if e.Addr == addr {
			present = true
			missing = slices.DeleteFunc(missing, e.has)
		}
	}
	if len(missing) == 0 {
		return data, nil
	}
	if !present {
		return edit.InsertLines(data, len(data), addr.String()+"\t"+strings.Join(missing, " ")), nil
	}
	return Rewrite(data, func(a netip.Addr, have []string) (netip.Addr, []string) {
		if a == addr {
			have, missing = append(have, missing...), nil
		}
		return a, have
	})
}

// Drop takes a name away from an address, in any case. A line that has no other name goes with it.
func Drop(data []byte, addr netip.Addr, name string) ([]byte, error) {
	var kept []byte
	last := 0
	for _, l := range entries(data) {
		if l.Addr == addr && len(l.Names) > 0 && !slices.ContainsFunc(l.Names, func(n string) bool { return !strings.EqualFold(n, name) }) {
			at := l.words[0].From
			kept = append(kept, data[last:bytes.LastIndexByte(data[:at], '\n')+1]...)
			last = len(data)
			if end := bytes.IndexByte(data[at:], '\n'); end >= 0 {
				last = at + end + 1
			}
		}
	}
	kept = append(kept, data[last:]...)
	return Rewrite(kept, func(a netip.Addr, have []string) (netip.Addr, []string) {
		if a != addr {
			return a, have
		}
		return a, slices.DeleteFunc(have, func(n string) bool { return strings.EqualFold(n, name) })
	})
}

// checkAddr refuses addresses with a zone: glibc does not read them.
func checkAddr(addr netip.Addr) error {
	if !addr.IsValid() || addr.Zone() != "" {
		return errors.New("no address that a hosts file can hold")
	}
	return nil
}

func checkName(n string) error {
	if n == "" || strings.ContainsAny(n, " \t\r\n\v\f#") {
		return fmt.Errorf("%q is no host name", n)
	}
	return nil
}

func id(key string) (string, error) {
	n, ok := strings.CutPrefix(key, "entry ")
	if i, err := strconv.Atoi(n); !ok || err != nil || i < 1 || strconv.Itoa(i) != n {
		return "", fmt.Errorf("cannot use %q as a key: it has the form \"entry N\"", key)
	}
	return key, nil
}

func scan(data []byte) ([]edit.Item, error) {
	var items []edit.Item
	for i, l := range entries(data) {
		items = append(items, edit.Item{
			Key: "entry " + strconv.Itoa(i+1), Value: strings.Join(append([]string{l.Addr.String()}, l.Names...), " "), Line: l.Line,
			Text: edit.Span{From: l.words[0].From, To: l.words[len(l.words)-1].To},
		})
	}
	return items, nil
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	addr, names, err := parseValue(value)
	if err != nil {
		return "", err
	}
	w := words(data, it.Text)
	old, err := netip.ParseAddr(string(w[0].Of(data)))
	if err != nil {
		return "", err
	}
	return line{Entry{Addr: old, Names: names}, w}.respell(data, addr, names)
}

func parseValue(value string) (netip.Addr, []string, error) {
	f := strings.Split(value, " ")
	addr, err := netip.ParseAddr(f[0])
	switch {
	case err != nil || len(f) < 2:
		return netip.Addr{}, nil, errors.New("an entry is an address and at least one name")
	case checkAddr(addr) != nil:
		return netip.Addr{}, nil, checkAddr(addr)
	}
	return addr, f[1:], nil
}

func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	if key != "entry "+strconv.Itoa(len(items)+1) {
		return nil, fmt.Errorf("%w: %s of %d", text.ErrNoKey, key, len(items))
	}
	addr, names, err := parseValue(value)
	if err != nil {
		return nil, err
	}
	return edit.InsertLines(data, len(data), addr.String()+"\t"+strings.Join(names, " ")), nil
}
