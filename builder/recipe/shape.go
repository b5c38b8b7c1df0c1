package recipe

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A shape walks a YAML document beside the Go type that it must fit, and notes every misfit with its path. yaml.v3 itself
// would name the Go type and not the path, and stop at the first bad value of a list.
type shape struct {
	file     string
	mistakes Mistakes
	lines    map[string]int // line of every path met
}

func (s *shape) add(n *yaml.Node, path, format string, args ...any) {
	s.mistakes = append(s.mistakes, Mistake{File: s.file, Line: n.Line, Path: path, Text: fmt.Sprintf(format, args...)})
}

// reject notes that a value does not fit, and blanks it, so that the decoder, which stops at some misfits, takes the rest.
func (s *shape) reject(n *yaml.Node, path, format string, args ...any) {
	s.add(n, path, format, args...)
	*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line}
}

// walk checks node n against type t.
func (s *shape) walk(n *yaml.Node, t reflect.Type, tag reflect.StructTag, path string) {
	s.lines[path] = n.Line
	if n.Kind == yaml.AliasNode {
		s.reject(n, path, "aliases are not allowed; write the value out")
		return
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		s.text(n, t, path)
	case t.Kind() == reflect.Struct:
		s.mapping(n, t, path)
	case t.Kind() == reflect.Slice:
		s.list(n, t, tag, path)
	default:
		s.scalar(n, t, tag, path)
	}
}

func (s *shape) mapping(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.MappingNode {
		s.reject(n, path, "must be a group of settings (%s), not %s", strings.Join(keys(t), ", "), kindName(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		f, known := field(t, k.Value)
		switch {
		case !known:
			s.unknown(k, t, path)
		case seen[k.Value]:
			s.add(k, join(path, k.Value), "is given twice")
			k.Value += " (again)" // unknown to the decoder, which would stop here
		case !isNull(v):
			s.walk(v, f.Type, f.Tag, join(path, k.Value))
		}
		seen[k.Value] = true
	}
}

func (s *shape) unknown(k *yaml.Node, t reflect.Type, path string) {
	text := "unknown key"
	if near := suggest(k.Value, keys(t)); near != "" {
		text = fmt.Sprintf("unknown key, did you mean %q?", near)
	} else {
		text += ", known here: " + strings.Join(keys(t), ", ")
	}
	s.add(k, join(path, k.Value), "%s", text)
}

func (s *shape) list(n *yaml.Node, t reflect.Type, tag reflect.StructTag, path string) {
	if n.Kind != yaml.SequenceNode {
		s.reject(n, path, "must be a list, not %s", kindName(n))
		return
	}
	for i, item := range n.Content {
		s.walk(item, t.Elem(), tag, fmt.Sprintf("%s[%d]", path, i))
	}
}

// text checks a type that reads itself from a scalar.
func (s *shape) text(n *yaml.Node, t reflect.Type, path string) {
	if n.Kind != yaml.ScalarNode {
		s.reject(n, path, "must be one value, not %s", kindName(n))
		return
	}
	if t == reflect.TypeFor[Mode]() && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		s.reject(n, path, "must stand in quotes: mode: %q", n.Value)
		return
	}
	v := reflect.New(t).Interface().(encoding.TextUnmarshaler)
	if err := v.UnmarshalText([]byte(n.Value)); err != nil {
		s.reject(n, path, "%v", err)
	}
}

func (s *shape) scalar(n *yaml.Node, t reflect.Type, tag reflect.StructTag, path string) {
	if n.Kind != yaml.ScalarNode {
		s.reject(n, path, "must be one value, not %s", kindName(n))
		return
	}
	switch t.Kind() {
	case reflect.Bool:
		if n.Tag != "!!bool" {
			s.reject(n, path, "must be true or false, not %q", n.Value)
		}
	case reflect.Int:
		if n.Tag != "!!int" || strings.HasPrefix(n.Value, "-") {
			s.reject(n, path, "must be a whole number, not %q", n.Value)
		}
	default:
		s.word(n, tag, path)
	}
}

// word checks a string against the enum or the pattern of its field.
func (s *shape) word(n *yaml.Node, tag reflect.StructTag, path string) {
	if n.Tag != "!!str" {
		s.reject(n, path, "must be text; put %s in quotes", n.Value)
		return
	}
	if e := tag.Get("enum"); e != "" {
		options := strings.Split(e, ",")
		if !slices.Contains(options, n.Value) {
			s.reject(n, path, "must be one of %s, not %q", strings.Join(options, ", "), n.Value)
		}
	}
	if p := tag.Get("pattern"); p != "" && !regexp.MustCompile(p).MatchString(n.Value) {
		s.reject(n, path, "%q does not fit %s", n.Value, p)
	}
}

// field finds the struct field with a YAML key.
func field(t reflect.Type, key string) (reflect.StructField, bool) {
	for f := range t.Fields() {
		if f.IsExported() && f.Tag.Get("yaml") == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// keys lists the YAML keys of a struct.
func keys(t reflect.Type) []string {
	var out []string
	for f := range t.Fields() {
		if f.IsExported() {
			out = append(out, f.Tag.Get("yaml"))
		}
	}
	return out
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of settings"
	case yaml.SequenceNode:
		return "a list"
	default:
		return fmt.Sprintf("%q", n.Value)
	}
}
