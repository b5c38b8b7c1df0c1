// Package yamlline reads and sets scalars of the small YAML files that services keep under /etc: OpenNebula's
// sunstone-server.conf, onegate-server.conf, oneflow-server.conf (keys are Ruby symbols, ":host: 127.0.0.1") and
// fireedge-server.conf (plain keys).
//
// It works line by line and knows block mappings with one scalar per line; that is all these files use for what differs
// between two machines. Lists, flow collections, block scalars, anchors and tags are left alone and not listed. It is no
// YAML parser, and firstboot holds none.
//
// A key is the path of names without colons: "host", "default_zone/endpoint", "server/bind".
package yamlline

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"goldsmith/firstboot/text"
)

// ErrSyntax is wrapped by every error about a file that cannot be read safely line by line.
var ErrSyntax = errors.New("cannot read YAML line by line")

// Codec is the view of such a file as keys and values. Values are what stands there, without quotes: true, 120_000 and
// nothing at all are not interpreted.
func Codec() text.Codec {
	return text.Codec{Name: "yamlline", Get: get, Set: set, List: list}
}

// An entry is one scalar and where it stands.
type entry struct {
	text.Entry
	at, end int // of the raw value, quotes included; equal where there is none
}

// line: indent, colon of a Ruby symbol, name, rest.
var keyLine = regexp.MustCompile(`^( *)(:?)([A-Za-z0-9_.-]+):(?:([ \t].*)|$)`)

type level struct {
	indent int
	path   string
}

func parse(data []byte) ([]entry, error) {
	var out []entry
	var stack []level
	lines := bytes.SplitAfter(data, []byte("\n"))
	skip := -1 // lines indented deeper than this belong to a list or a block scalar
	pos := 0
	for i, raw := range lines {
		line := strings.TrimRight(string(raw), "\r\n")
		start := pos
		pos += len(raw)
		body := strings.TrimLeft(line, " ")
		indent := len(line) - len(body)
		if strings.ContainsFunc(strings.ReplaceAll(line, "\t", " "), unprintable) {
			return nil, fmt.Errorf("%w: line %d holds a character that YAML does not allow", ErrSyntax, i+1)
		}
		switch {
		case body == "" || body[0] == '#' || skip >= 0 && indent > skip:
			continue
		case body[0] == '\t':
			return nil, fmt.Errorf("%w: line %d is indented by a tab", ErrSyntax, i+1)
		case body == "---" || body == "..." || body == "-" || strings.HasPrefix(body, "- "):
			if body[0] == '-' && body != "---" {
				skip = indent
			}
			continue
		}
		skip = -1
		m := keyLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%w: line %d is no %q", ErrSyntax, i+1, "key: value")
		}
		for len(stack) > 0 && stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		key := m[3]
		if len(stack) > 0 {
			key = stack[len(stack)-1].path + "/" + key
		}
		stack = append(stack, level{indent, key})
		at := start + len(line) - len(m[4])
		e, plain, err := scalar(m[4], at)
		if err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrSyntax, i+1, err)
		}
		if !plain {
			skip = indent
			continue
		}
		if e.at == e.end && hasChildren(lines[i+1:], indent) {
			continue
		}
		e.Key, e.Line = key, i+1
		out = append(out, e)
	}
	return out, nil
}

// scalar reads what follows "key:". It is false for collections, block scalars, anchors, aliases and tags.
func scalar(rest string, at int) (entry, bool, error) {
	body := strings.TrimLeft(rest, " \t")
	at += len(rest) - len(body)
	if body == "" || body[0] == '#' {
		return entry{at: at - len(rest) + len(body), end: at - len(rest) + len(body)}, true, nil
	}
	switch body[0] {
	case '\'', '"':
		n, v, err := quoted(body)
		if err != nil {
			return entry{}, false, err
		}
		if tail := strings.TrimLeft(body[n:], " \t"); tail != "" && (tail[0] != '#' || tail == body[n:]) {
			return entry{}, false, errors.New("text after the closing quote")
		}
		return entry{text.Entry{Value: v}, at, at + n}, true, nil
	case '[', '{', '|', '>', '&', '*', '!':
		return entry{}, false, nil
	}
	n := len(body)
	if i := strings.Index(body, " #"); i >= 0 {
		n = i
	}
	v := strings.TrimRight(body[:n], " \t")
	if strings.Contains(v, ": ") || strings.HasSuffix(v, ":") {
		return entry{}, false, errors.New("a plain value holds a colon")
	}
	return entry{text.Entry{Value: v}, at, at + len(v)}, true, nil
}

// quoted reads a quoted scalar that ends on its line, and returns its length with quotes and its value.
func quoted(s string) (int, string, error) {
	var b strings.Builder
	q := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case q == '\'' && strings.HasPrefix(s[i:], "''"), q == '"' && s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`"\/`, s[i+1]) >= 0:
			b.WriteByte(s[i+1])
			i++
		case q == '"' && s[i] == '\\':
			return 0, "", errors.New("an escape sequence that this reader does not know")
		case s[i] == q:
			return i + 1, b.String(), nil
		default:
			b.WriteByte(s[i])
		}
	}
	return 0, "", errors.New("the closing quote is not on the same line")
}

// hasChildren says whether the next line with content belongs to the key that stood at the given indent.
func hasChildren(rest [][]byte, indent int) bool {
	for _, raw := range rest {
		line := strings.TrimRight(string(raw), "\r\n")
		body := strings.TrimLeft(line, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		n := len(line) - len(body)
		return n > indent || n == indent && (body == "-" || strings.HasPrefix(body, "- "))
	}
	return false
}

// list leaves out a key that stands again further down: Ruby's reader takes the last one.
func list(data []byte) ([]text.Entry, error) {
	all, err := parse(data)
	if err != nil {
		return nil, err
	}
	var out []text.Entry
	for i, e := range all {
		if last(all, e.Key) == i {
			out = append(out, e.Entry)
		}
	}
	return out, nil
}

func last(all []entry, key string) int {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Key == key {
			return i
		}
	}
	return -1
}

func get(data []byte, key string) (string, bool, error) {
	all, err := parse(data)
	if err != nil {
		return "", false, err
	}
	i := last(all, clean(key))
	if i < 0 {
		return "", false, nil
	}
	return all[i].Value, true, nil
}

// clean lets a key be written with the colons of the file, ":server/:bind".
func clean(key string) string {
	return strings.ReplaceAll(strings.TrimPrefix(key, ":"), "/:", "/")
}
