// Package netplan edits /etc/netplan/*.yaml: the MACs, names and addresses of interfaces.
//
// It understands the part of YAML that netplan files are written in and refuses the rest with the line it stands on: block
// mappings and sequences indented by spaces, flow collections, plain and quoted scalars of one line, comments, one "---" at
// the start. Anchors, aliases, tags, block scalars, scalars over several lines, tabs, doubled keys and further documents are
// errors, never guesses.
//
// A key is the path below "network" to a scalar: "ethernets/ens3/macaddress", "bridges/br-ex/match/macaddress". Items of a
// sequence are counted: "ethernets/ens3/addresses#1", "ethernets/ens3/routes#2/via". Values are text, as they are for
// netplan itself: true, 2 and "2" are not interpreted. An address with options ("10.0.0.1/24: {lifetime: 0}") is listed like
// one without. What stands below a name with "/" or "#" in it is not listed, nor is
// a key without a value.
package netplan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single scalars. A missing one is added where its mapping exists; a missing item of a sequence, where
// it is the next.
var Codec = format.Codec()

var format = edit.Format{Name: "netplan", Scan: scan, ID: id, Encode: encode, Add: add}

// An Interface is one definition, such as "ethernets: ens3:".
type Interface struct {
	Kind string // "ethernets", "bridges", "bonds", "vlans" ...
	Name string // the name of the device, or an id where match or set-name say more
	Key  string // of its mapping: a setting is Key + "/" + name
	Line int    // 1-based
}

// Interfaces returns the definitions of a file in file order.
func Interfaces(data []byte) ([]Interface, error) {
	root, err := network(data)
	if err != nil {
		return nil, err
	}
	var all []Interface
	for _, kind := range root.members {
		if kind.key == "openvswitch" {
			continue // global settings, not devices
		}
		for _, m := range kind.value.members {
			all = append(all, Interface{Kind: kind.key, Name: m.key, Key: kind.key + "/" + m.key, Line: m.line})
		}
	}
	return all, nil
}

// network returns the node below "network", an empty one where there is none.
func network(data []byte) (*node, error) {
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	if n := root.member("network"); n != nil {
		return n, nil
	}
	return &node{}, nil
}

func scan(data []byte) ([]edit.Item, error) {
	root, err := network(data)
	if err != nil {
		return nil, err
	}
	var items []edit.Item
	root.walk("", func(path string, n *node) {
		items = append(items, edit.Item{Key: path, Value: n.value, Line: n.line, Text: n.span})
	})
	return items, nil
}

// walk visits the scalars that have a key.
func (n *node) walk(path string, visit func(string, *node)) {
	if n.kind == scalar && path != "" {
		visit(path, n)
	}
	for _, m := range n.members {
		if m.key != "" && !strings.ContainsAny(m.key, "/#\r\n\t") {
			m.value.walk(strings.TrimPrefix(path+"/"+m.key, "/"), visit)
		}
	}
	for i, item := range n.items {
		if path != "" {
			item.orItsKey(path).walk(path+"#"+strconv.Itoa(i+1), visit)
		}
	}
}

// orItsKey makes an address of the form "10.0.0.1/24: {lifetime: 0}" the scalar that it is without options.
func (n *node) orItsKey(path string) *node {
	if !strings.HasSuffix(path, "/addresses") || n.kind != mapping || len(n.members) != 1 {
		return n
	}
	m := n.members[0]
	return &node{kind: scalar, value: m.key, span: m.at, line: m.line}
}

// find returns the node at a path below n, nil where there is none.
func (n *node) find(path string) *node {
	for part := range strings.SplitSeq(path, "/") {
		name, indexes, _ := strings.Cut(part, "#")
		if n = n.member(name); n == nil {
			return nil
		}
		for index := range strings.SplitSeq(indexes, "#") {
			if index == "" {
				continue
			}
			i, err := strconv.Atoi(index)
			if err != nil || i < 1 || i > len(n.items) {
				return nil
			}
			n = n.items[i-1]
		}
	}
	return n
}

func id(key string) (string, error) {
	for part := range strings.SplitSeq(key, "/") {
		if name, _, _ := strings.Cut(part, "#"); name == "" || strings.ContainsAny(part, "\r\n\t") {
			return "", fmt.Errorf("cannot use %q as a key: it is a path such as ethernets/ens3/macaddress", key)
		}
	}
	return key, nil
}

func encode(data []byte, it edit.Item, value string) (string, error) {
	return spell(value, data[it.Text.From])
}

func add(data []byte, _ []edit.Item, key, value string) ([]byte, error) {
	root, err := network(data)
	if err != nil {
		return nil, err
	}
	written, err := spell(value, 0)
	if err != nil {
		return nil, err
	}
	if n := root.find(key); n != nil {
		if n.kind != null || n.span.From == 0 {
			return nil, fmt.Errorf("%w: %s is no single value", text.ErrNoKey, key)
		}
		return edit.Splice(data, n.span, " "+written), nil
	}
	if at := strings.LastIndexByte(key, '#'); at > strings.LastIndexByte(key, '/') {
		return addItem(data, root.find(key[:at]), key, written)
	}
	at := strings.LastIndexByte(key, '/')
	if at < 0 {
		return addMember(data, root, key, key, written)
	}
	return addMember(data, root.find(key[:at]), key, key[at+1:], written)
}

func addMember(data []byte, parent *node, key, name, written string) ([]byte, error) {
	switch {
	case parent == nil || parent.kind != mapping:
		return nil, fmt.Errorf("%w: %s: there is no such mapping", text.ErrNoKey, key)
	case !isPlain(name):
		return nil, fmt.Errorf("%w: %s: not a name of netplan", text.ErrNoKey, key)
	}
	return parent.insert(data, name+": "+written), nil
}

func addItem(data []byte, parent *node, key, written string) ([]byte, error) {
	if parent == nil || parent.kind != sequence || !strings.HasSuffix(key, "#"+strconv.Itoa(len(parent.items)+1)) {
		return nil, fmt.Errorf("%w: %s: it is not the next item of a sequence", text.ErrNoKey, key)
	}
	if !parent.flow {
		written = "- " + written
	}
	return parent.insert(data, written), nil
}

// insert adds a member or an item behind the last one.
func (n *node) insert(data []byte, written string) []byte {
	if !n.flow {
		return edit.InsertLines(data, n.end, strings.Repeat(" ", n.column)+written)
	}
	at := n.span.From + 1
	switch {
	case len(n.members) > 0:
		at = n.members[len(n.members)-1].value.span.To
		written = ", " + written
	case len(n.items) > 0:
		at = n.items[len(n.items)-1].span.To
		written = ", " + written
	}
	return edit.Splice(data, edit.Span{From: at, To: at}, written)
}

// Rename gives an interface another name, everywhere in a file: its own key, the lists that hold it (interfaces, ports),
// what refers to it (link, primary, peer, path-cost, port-priority), and match name and set-name where they are that very
// name. A file that does not define or mention it is returned as it is; one that already has the new name is refused.
func Rename(data []byte, from, to string) ([]byte, error) {
	if !isPlain(to) || strings.ContainsAny(to, "/:#%") || len(to) > maxName {
		return nil, fmt.Errorf("cannot rename %s to %q: no name for an interface", from, to)
	}
	root, err := network(data)
	if err != nil {
		return nil, err
	}
	spans := root.mentions(from, "")
	if from == to || len(spans) == 0 {
		return data, nil
	}
	if taken := root.mentions(to, ""); len(taken) > 0 {
		return nil, fmt.Errorf("cannot rename %s to %s: that name is taken on line %d", from, to, edit.LineNumber(data, taken[0].From))
	}
	out := data
	for i := len(spans) - 1; i >= 0; i-- {
		written, err := spell(to, data[spans[i].From])
		if err != nil {
			return nil, err
		}
		out = edit.Splice(out, spans[i], written)
	}
	if err := proveRenamed(out, from, to, len(spans)); err != nil {
		return nil, err
	}
	return out, nil
}

// maxName is IFNAMSIZ without its closing zero.
const maxName = 15

func proveRenamed(out []byte, from, to string, count int) error {
	root, err := network(out)
	if err != nil {
		return err
	}
	if len(root.mentions(from, "")) > 0 || len(root.mentions(to, "")) != count {
		return errors.New("cannot rename an interface so that it reads back")
	}
	return nil
}

// mentions returns where the name of an interface stands, in file order. path is that of n below "network".
func (n *node) mentions(name, path string) []edit.Span {
	var spans []edit.Span
	last := path[strings.LastIndexByte(path, '/')+1:]
	depth := strings.Count(path, "/")
	switch {
	case n.kind == scalar && n.value == name && refers(last, path):
		spans = append(spans, n.span)
	case n.kind == sequence && (last == "interfaces" || last == "ports"):
		for _, item := range n.items {
			spans = append(spans, item.mentions(name, path)...)
			if item.kind == scalar && item.value == name {
				spans = append(spans, item.span)
			}
		}
	}
	keyed := depth == 1 && path != "/openvswitch" || last == "path-cost" || last == "port-priority"
	for _, m := range n.members {
		if keyed && m.key == name {
			spans = append(spans, m.at)
		}
		spans = append(spans, m.value.mentions(name, path+"/"+m.key)...)
	}
	return spans
}

func refers(last, path string) bool {
	switch last {
	case "link", "primary", "peer", "set-name":
		return true
	}
	return strings.HasSuffix(path, "/match/name")
}
