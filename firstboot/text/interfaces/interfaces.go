// Package interfaces edits ifupdown's configuration: /etc/network/interfaces and the files of interfaces.d, as
// interfaces(5) of ifupdown 0.8 has them.
//
//   - Blank lines and lines that begin with "#" mean nothing. There are no comments behind a value.
//   - A backslash at the end of a line joins the next line to it, whatever that is.
//   - "iface NAME FAMILY METHOD" and "mapping PATTERN" begin a stanza, whose options follow on lines of their own, up to
//     the next stanza or one of "auto", "allow-...", "source", "source-directory", "rename", "no-auto-down", "no-scripts".
//
// Keys:
//
//	iface br-ex inet hwaddress    an option of a stanza; "ether" before a hardware address is not part of its value
//	iface br-ex inet up#2         the second "up" of the stanza: ifupdown heeds all
//	iface br-ex inet#2 address    an option of the second stanza for the same name and family
//	iface br-ex inet method       the method, with "inherits ..." where it has that
//	mapping eth* script           an option of a mapping
//	auto, auto#2, allow-hotplug   the interfaces on the first and second such line
package interfaces

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single options. A new option goes to the end of its stanza, and a new line such as "auto" to the end
// of the file; stanzas are not made.
var Codec = edit.Format{Name: "interfaces", Scan: scan, ID: id, Encode: encode, Add: add, Deletes: true}.Codec()

// method is the key of what stands behind name and family. ifupdown has no option of this name.
const method = "method"

func id(key string) (string, error) {
	words := strings.Split(key, " ")
	kind, _, _ := strings.Cut(words[0], "#")
	numbered := words
	switch {
	case kind == "iface" && len(words) == 4 && kind == words[0]:
		numbered = words[2:]
	case kind == "mapping" && len(words) == 3 && kind == words[0]:
		numbered = words[2:]
	case !isList(kind) || len(words) != 1:
		return "", fmt.Errorf("cannot use %q as a key: it has the form \"iface NAME FAMILY OPTION\", \"mapping PATTERN OPTION\" or \"auto\"", key)
	}
	for i, w := range numbered {
		name, nth, err := number(w)
		if err != nil || name == "" {
			return "", fmt.Errorf("cannot use %q as a key: %q has no name or a wrong number", key, w)
		}
		numbered[i] = withNumber(name, nth)
	}
	if strings.ContainsAny(key, "\t\r\n\v\f") || slices.Contains(words, "") {
		return "", fmt.Errorf("cannot use %q as a key: it holds a blank too much", key)
	}
	return strings.Join(words, " "), nil
}

// number takes "up#2" apart.
func number(word string) (name string, nth int, err error) {
	name, n, numbered := strings.Cut(word, "#")
	if !numbered {
		return name, 1, nil
	}
	if nth, err = strconv.Atoi(n); err == nil && nth < 1 {
		err = errors.New("numbers begin with 1")
	}
	return name, nth, err
}

func withNumber(name string, nth int) string {
	if nth > 1 {
		return name + "#" + strconv.Itoa(nth)
	}
	return name
}

// isList says whether a line of this kind stands alone and lists interfaces or files.
func isList(kind string) bool {
	return strings.HasPrefix(kind, "allow-") && len(kind) > len("allow-") ||
		slices.Contains([]string{"auto", "source", "source-directory", "rename", "no-auto-down", "no-scripts"}, kind)
}

func isStanza(kind string) bool { return kind == "iface" || kind == "mapping" }

func scan(data []byte) ([]edit.Item, error) {
	f, err := read(data)
	return f.items, err
}

func encode(_ []byte, it edit.Item, value string) (string, error) {
	switch {
	case value == "":
		return "", errors.New("cannot write an empty value: ifupdown refuses it")
	case strings.ContainsAny(value, "\r\n"):
		return "", errors.New("cannot write a line break into a value")
	case it.Value == "" && it.Key != "":
		return " " + value, nil
	}
	return value, nil
}

func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	key, err := id(key)
	if err != nil {
		return nil, err
	}
	if value, err = encode(nil, edit.Item{}, value); err != nil {
		return nil, err
	}
	stanza, option := "", key
	if i := strings.LastIndexByte(key, ' '); i >= 0 {
		stanza, option = key[:i+1], key[i+1:]
	}
	name, nth, err := number(option)
	if err != nil {
		return nil, err
	}
	if _, ok := edit.Find(items, stanza+withNumber(name, nth-1)); nth > 1 && !ok {
		return nil, fmt.Errorf("%w: %s would be the first", text.ErrNoKey, key)
	}
	if stanza == "" {
		return edit.InsertLines(data, len(data), name+" "+value), nil
	}
	f, err := read(data)
	if err != nil {
		return nil, err
	}
	place, ok := f.stanzas[stanza]
	if !ok {
		return nil, fmt.Errorf("%w: no stanza %s", text.ErrNoKey, stanza)
	}
	return edit.InsertLines(data, place.at, place.indent+name+" "+value), nil
}
