package netplan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"goldsmith/firstboot/text/edit"
)

type kind int

const (
	null kind = iota // a key or a dash without anything behind it
	scalar
	mapping
	sequence
)

type node struct {
	kind    kind
	value   string    // of a scalar
	span    edit.Span // of a scalar or a flow collection; of null, the empty place where a value would go, or zero
	line    int
	flow    bool
	column  int // of the members of a block collection
	end     int // offset behind the last line of a block collection
	members []member
	items   []*node
}

type member struct {
	key   string
	at    edit.Span // of the key as written
	line  int
	value *node
}

func (n *node) member(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// A parser goes through the lines that are neither empty nor comments.
type parser struct {
	data  []byte
	lines []edit.Line
	i     int
	depth int
}

// maxDepth is far beyond any netplan file.
const maxDepth = 40

func parse(data []byte) (*node, error) {
	p := parser{data: data}
	if err := p.split(); err != nil {
		return nil, err
	}
	if len(p.lines) == 0 {
		return &node{}, nil
	}
	p.i = 0
	root, err := p.block(indentOf(p.lines[0]))
	if err == nil && p.i < len(p.lines) {
		err = errors.New("indented like nothing above it")
	}
	if err == nil && root.kind != mapping {
		err = errors.New("not a mapping")
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", p.number(), err)
	}
	return root, nil
}

func (p *parser) number() int { return p.lines[min(p.i, len(p.lines)-1)].Number }

func indentOf(l edit.Line) int { return len(l.Text) - len(bytes.TrimLeft(l.Text, " ")) }

// split keeps the lines with content.
func (p *parser) split() error {
	for l := range edit.Lines(p.data) {
		body := bytes.TrimLeft(l.Text, " ")
		if err := checkLine(l.Text, body); err != nil {
			return fmt.Errorf("line %d: %w", l.Number, err)
		}
		if len(body) == 0 || body[0] == '#' {
			continue
		}
		if marker := string(l.Text[:min(3, len(l.Text))]); marker == "---" || marker == "..." {
			if marker == "..." || len(p.lines) > 0 || !isEnd(string(l.Text[3:])) {
				return fmt.Errorf("line %d: a second document", l.Number)
			}
			p.lines = append(p.lines, l)
			continue
		}
		p.lines = append(p.lines, l)
	}
	if len(p.lines) > 0 && bytes.HasPrefix(p.lines[0].Text, []byte("---")) {
		p.lines = p.lines[1:]
	}
	return nil
}

func checkLine(line, body []byte) error {
	switch {
	case !utf8.Valid(line):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(string(line), unprintable):
		return errors.New("a tab or a character that YAML does not allow")
	case bytes.HasPrefix(line, []byte("%")):
		return errors.New("a YAML directive")
	case len(body) > maxLine:
		return errors.New("longer than any line of a netplan file")
	}
	return nil
}

// maxLine keeps keys below the 1024 bytes that YAML gives them.
const maxLine = 1000

// unprintable also holds what YAML 1.1 takes for line ends.
func unprintable(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe || r == 0xffff
}

// isEnd tells whether nothing but a comment follows.
func isEnd(rest string) bool {
	body := strings.TrimLeft(rest, " ")
	return body == "" || body[0] == '#' && body != rest
}

// at returns the text of the present line from a column on.
func (p *parser) at(column int) string { return string(p.lines[p.i].Text[column:]) }

func isDash(s string) bool { return s == "-" || strings.HasPrefix(s, "- ") }

// block reads what begins at a column of the present line and goes on, at this column, below.
func (p *parser) block(column int) (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	defer func() { p.depth-- }()
	n := &node{kind: mapping, column: column, line: p.lines[p.i].Number}
	if isDash(p.at(column)) {
		n.kind = sequence
	}
	for {
		if isDash(p.at(column)) != (n.kind == sequence) {
			return nil, errors.New("a sequence and a mapping at the same indent")
		}
		if err := p.entry(n, column); err != nil {
			return nil, err
		}
		n.end = p.lines[p.i-1].Stop()
		if p.i == len(p.lines) || indentOf(p.lines[p.i]) < column {
			return n, nil
		}
		if indentOf(p.lines[p.i]) > column {
			return nil, errors.New("indented deeper than what it belongs to")
		}
		if n.kind == sequence && !isDash(p.at(column)) {
			return n, nil // a key at the indent of the dashes ends them
		}
	}
}

// entry reads one member or item of n.
func (p *parser) entry(n *node, column int) error {
	line := p.lines[p.i]
	if n.kind == sequence {
		item, err := p.item(column)
		n.items = append(n.items, item)
		return err
	}
	key, length, behind, err := readKey(p.at(column), false)
	if err != nil {
		return err
	}
	if n.member(key) != nil {
		return errors.New("a key that the mapping has already")
	}
	m := member{key: key, line: line.Number, at: edit.Span{From: line.Start + column, To: line.Start + column + length}}
	m.value, err = p.value(column, column+behind, true)
	n.members = append(n.members, m)
	return err
}

// item reads what follows a dash.
func (p *parser) item(column int) (*node, error) {
	rest := p.at(column + 1)
	body := strings.TrimLeft(rest, " ")
	inner := column + 1 + len(rest) - len(body)
	if !isEnd(rest) && strings.IndexByte("[{", body[0]) < 0 {
		if _, _, _, err := readKey(body, false); isDash(body) || err == nil {
			return p.block(inner)
		}
	}
	return p.value(column, column+1, false)
}

// value reads what stands behind a key or a dash: from is its column, column that of the key or dash.
func (p *parser) value(column, from int, ofKey bool) (*node, error) {
	line, rest := p.lines[p.i], p.at(from)
	if isEnd(rest) {
		return p.below(column, from, ofKey)
	}
	body := strings.TrimLeft(rest, " ")
	if body == rest {
		return nil, errors.New("no blank behind a mark")
	}
	from += len(rest) - len(body)
	if body[0] == '[' || body[0] == '{' {
		return p.flow(column, line.Start+from)
	}
	value, length, err := readScalar(body, false)
	if err != nil {
		return nil, err
	}
	if !isEnd(body[length:]) {
		return nil, errors.New("text behind a value")
	}
	p.i++
	start := line.Start + from
	return &node{kind: scalar, value: value, span: edit.Span{From: start, To: start + length}, line: line.Number}, nil
}

// below reads a value that begins on the next line.
func (p *parser) below(column, from int, ofKey bool) (*node, error) {
	line := p.lines[p.i]
	p.i++
	if p.i < len(p.lines) {
		indent := indentOf(p.lines[p.i])
		if indent > column || ofKey && indent == column && isDash(p.at(indent)) {
			return p.block(indent)
		}
	}
	at := line.Start + from
	return &node{span: edit.Span{From: at, To: at}, line: line.Number}, nil
}

// flow reads a flow collection that may go on over lines indented deeper than column.
func (p *parser) flow(column, start int) (*node, error) {
	f := flow{data: p.data, at: start, line: p.lines[p.i].Number, column: column, depth: p.depth}
	n, err := f.collection()
	if err != nil {
		return nil, err
	}
	for p.i++; p.i < len(p.lines) && p.lines[p.i].Start < f.at; p.i++ {
	}
	end := p.lines[p.i-1].Span().To
	if f.at > end || !isEnd(string(p.data[f.at:end])) {
		return nil, errors.New("text behind a flow collection")
	}
	return n, nil
}
