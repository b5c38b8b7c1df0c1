package interfaces

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/text/edit"
)

// Names returns the logical interfaces that the file defines, in file order.
func Names(data []byte) ([]string, error) {
	lines, err := parse(data)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range lines {
		if l.kind() == "iface" && !slices.Contains(names, l.words[1].text) {
			names = append(names, l.words[1].text)
		}
	}
	return names, nil
}

// linked are the options that name other interfaces, with "-" for "_", which ifupdown and its scripts take for the same.
// The last ones are commands and arguments of ovs-vsctl.
var linked = []string{
	"bridge-ports", "bridge-pathcost", "bridge-portprio", "bridge-waitport", "bridge-hw", "bond-slaves", "slaves", "bond-master",
	"bond-primary", "bond-active-slave", "vlan-raw-device", "vxlan-physdev", "vrf", "ovs-bridge", "ovs-ports", "ovs-bonds", "ovs-patch-peer",
	"ovs-extra", "ovs-options", "up", "down", "pre-up", "post-up", "pre-down", "post-down",
}

// Rename gives an interface another name wherever the file speaks of it: in auto and its like, in iface and inherits, in
// allow-<bridge>, in options that list ports, and as a whole word in commands. VLANs and aliases of it (eth0.100, eth0:1)
// follow. It is an error when the new name is in the file already as an interface of its own.
func Rename(data []byte, old, to string) ([]byte, error) {
	for _, name := range []string{old, to} {
		if name == "" || strings.Trim(name, nameChars) != "" || strings.ContainsAny(name, ".:@") || len(name) > 15 {
			return nil, fmt.Errorf("cannot rename %q to %q: no name of an interface", old, to)
		}
	}
	lines, err := parse(data)
	if err != nil || old == to {
		return data, err
	}
	var spans []edit.Span
	for _, l := range lines {
		spans = append(spans, l.mentions(old)...)
	}
	names, err := Names(data)
	if err == nil && len(spans) > 0 && slices.Contains(names, to) {
		err = errors.New("the file has an interface of that name already")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot rename %s to %s: %w", old, to, err)
	}
	out := data
	for _, at := range slices.Backward(spans) {
		out = edit.Splice(out, at, to)
	}
	return out, nil
}

// nameChars may be part of an interface's name, or of a VLAN's, an alias's or a peer's.
const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:@"

// mentions returns where the line names the interface.
func (l line) mentions(name string) []edit.Span {
	kind := l.kind()
	words := l.words[1:]
	var at []edit.Span
	switch {
	case kind == "iface":
		words = words[:1]
		for i, w := range l.words[:len(l.words)-1] {
			if w.text == "inherits" && i > 1 {
				words = append(words[:1:1], l.words[i+1])
			}
		}
	case kind == "allow-"+name:
		at = []edit.Span{l.Span(len("allow-")+l.words[0].at, len(kind)+l.words[0].at)}
	case isList(kind) && !strings.HasPrefix(kind, "source"):
	case !slices.Contains(linked, strings.ReplaceAll(kind, "_", "-")):
		return nil
	}
	for _, w := range words {
		for _, i := range w.mentions(name) {
			at = append(at, l.Span(w.at+i, w.at+i+len(name)))
		}
	}
	return at
}

// mentions returns where the name stands in the word, as itself or with a number of a VLAN or alias behind it.
func (w word) mentions(name string) []int {
	var at []int
	for i := 0; i < len(w.text); i++ {
		n := i
		for n < len(w.text) && strings.IndexByte(nameChars, w.text[n]) >= 0 {
			n++
		}
		rest, ok := strings.CutPrefix(w.text[i:n], name)
		if ok && (rest == "" || strings.ContainsAny(rest[:1], ".:") && strings.Trim(rest, ".:0123456789") == "") {
			at = append(at, i)
		}
		i = n
	}
	return at
}
