package pysettings

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"goldsmith/firstboot/text/edit"
)

var keywords = setOf(`False None True and as assert async await break class continue def del elif else except finally for from
	global if import in is lambda nonlocal not or pass raise return try while with yield`)

// compound are the keywords whose statement reaches to the end of the line, whatever semicolons it holds.
var compound = setOf("if elif else for while with try except finally def class async")

var augmented = setOf("+= -= *= /= //= %= @= &= |= ^= >>= <<= **=")

func setOf(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// An assignment is one statement that assigns at the top level.
type assignment struct {
	target string  // as written
	names  []token // the plain names among the targets
	right  []token // the tokens of the right side
	err    error   // why the right side alone does not tell what the names are worth
	line   int
}

// blocks says where a name was last bound by anything but a plain assignment: in the block of an if, try, for,
// while or with, by an import, a def, a del.
type blocks map[string]token

func scan(data []byte) ([]edit.Item, error) {
	found, later, err := read(data)
	if err != nil {
		return nil, err
	}
	var items []edit.Item
	for _, a := range found {
		span := edit.Span{From: a.right[0].span.From, To: a.right[len(a.right)-1].span.To}
		for _, n := range a.names {
			it := edit.Item{Key: n.text, Line: n.line, Text: span, Err: a.err}
			it.Value = edit.Unified(string(span.Of(data)), "\n")
			items = append(items, it)
		}
	}
	doubt(items, later)
	return items, nil
}

// doubt marks every assignment of a name whose last one does not tell what it is worth.
func doubt(items []edit.Item, later blocks) {
	why := map[string]error{}
	for _, it := range items {
		why[it.Key] = it.Err
		if t := later[it.Key]; t.span.From > it.Text.From {
			why[it.Key] = fmt.Errorf("line %d may give it another value", t.line)
		}
	}
	for i := range items {
		items[i].Err = why[items[i].Key]
	}
}

func assignments(data []byte) ([]assignment, error) {
	found, _, err := read(data)
	return found, err
}

func read(data []byte) ([]assignment, blocks, error) {
	tokens, err := lex(data)
	if err != nil {
		return nil, nil, err
	}
	var found []assignment
	later := blocks{}
	header := "" // the first word of the last line that was not indented
	for len(tokens) > 0 {
		n := 0
		for tokens[n].kind != newline {
			n++
		}
		line := tokens[:n]
		tokens = tokens[n+1:]
		switch {
		case line[0].col > 0:
			later.note(header, line)
			continue
		case compound[line[0].text] && line[0].kind == word:
			later.note(line[0].text, line)
		default:
			found = append(found, statements(data, line, later)...)
		}
		header = line[0].text
	}
	return found, later, nil
}

// note records the names that a line binds other than by an assignment of its own. What functions and classes assign is
// theirs.
func (b blocks) note(header string, line []token) {
	if header == "def" || header == "class" || header == "async" || header == "@" {
		if line[0].col == 0 {
			b.bind(line, "def", "class")
		}
		return
	}
	b.bind(line, "for", "as", "import", "del")
	marks := marksOf(line)
	if len(marks) == 0 {
		return
	}
	for i, t := range line[:marks[len(marks)-1]] {
		next := line[i+1]
		if t.kind != word || t.depth > 0 || next.kind != op {
			continue
		}
		if next.text == "=" || next.text == "," || next.text == ":" && i == 0 || augmented[next.text] {
			b[t.text] = t
		}
	}
}

// bind records the words behind the given keywords, up to the next keyword.
func (b blocks) bind(line []token, by ...string) {
	binding := false
	for _, t := range line {
		switch {
		case t.kind == word && keywords[t.text]:
			binding = slices.Contains(by, t.text)
		case t.is(":") || t.is("=") || t.is("(") && by[0] == "def":
			binding = false
		case binding && t.kind == word:
			b[t.text] = t
		}
	}
}

// statements returns the assignments of one logical line, and notes in later what its other statements bind.
func statements(data []byte, line []token, later blocks) []assignment {
	var found []assignment
	for from := 0; from < len(line); {
		n := from
		for n < len(line) && (line[n].depth > 0 || !line[n].is(";")) {
			n++
		}
		if a, ok := assign(data, line[from:n]); ok {
			found = append(found, a)
		} else if n > from && keywords[line[from].text] && line[from].kind == word {
			later.note(line[from].text, line[from:n])
		}
		from = n + 1
	}
	return found
}

// assign reads "targets = right", "target: type = right" and "target += right".
func assign(data []byte, st []token) (a assignment, ok bool) {
	marks := marksOf(st)
	if len(marks) == 0 || marks[0] == 0 || marks[len(marks)-1]+1 == len(st) {
		return a, false
	}
	left, last := st[:marks[0]], marks[len(marks)-1]
	a.line, a.right = st[0].line, st[last+1:]
	if n := annotation(left); n > 0 {
		left = left[:n]
	}
	a.target = string(data[left[0].span.From:left[len(left)-1].span.To])
	a.names = plainNames(st[:last])
	switch {
	case augmented[st[last].text]:
		a.err = fmt.Errorf("line %d adds to it", a.line)
	case len(a.names) > 0 && (len(marks) > 1 || len(left) > 1):
		a.err = fmt.Errorf("line %d sets it together with others", a.line)
	}
	return a, true
}

// marksOf returns where the assignment marks outside brackets are.
func marksOf(st []token) []int {
	var marks []int
	for i, t := range st {
		if t.depth == 0 && t.kind == op && (t.text == "=" || augmented[t.text]) {
			marks = append(marks, i)
		}
	}
	return marks
}

func annotation(left []token) int {
	for i, t := range left {
		if t.depth == 0 && t.is(":") {
			return i
		}
	}
	return 0
}

// plainNames returns the names that the targets bind: not those in subscripts, attributes, calls and annotations.
func plainNames(left []token) []token {
	var names []token
	typed := false
	for i, t := range left {
		typed = (typed || t.is(":") && t.depth == 0) && !t.is("=")
		bound := i+1 == len(left) || left[i+1].kind == op && strings.Contains(",=)]:", left[i+1].text[:1])
		after := i > 0 && left[i-1].is(".")
		if t.kind == word && isName(t.text) && !typed && bound && !after && !subscripted(left, i) {
			names = append(names, t)
		}
	}
	return names
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.In(r, wordRunes...)) {
			return false
		}
	}
	return s != "" && !keywords[s]
}

// subscripted tells whether the token stands inside the brackets of a subscript or a call.
func subscripted(left []token, i int) bool {
	depth := left[i].depth
	for j := i - 1; j > 0 && depth > 0; j-- {
		if left[j].depth < depth && left[j].kind == op {
			if left[j-1].kind == word || left[j-1].is("]") || left[j-1].is(")") {
				return true
			}
			depth = left[j].depth
		}
	}
	return false
}
