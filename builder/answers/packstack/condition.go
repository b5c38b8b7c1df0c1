package packstack

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A condition says when packstack reads a group. The expressions are those of its Python code, reduced to
//
//	or   = and { "or" and }
//	and  = test { "and" test }
//	test = term ( "==" | "!=" ) term  |  term "in" ( KEY | "(" 'text' { "," 'text' } ")" )
//	term = KEY | 'text'
//
// and 'text' in KEY is Python's test for a substring, as packstack uses it on its comma-separated values.

// expr is a parsed condition. It holds when one of its conjunctions does; without any it always holds.
type expr [][]test

type test struct {
	left, right term
	op          string   // ==, !=, in
	list        []string // right side of "in (...)"
}

// A term is a key of the answer file, or a literal text.
type term struct {
	key  string
	text string
}

// holds evaluates the condition; value returns the answer to a key.
func (e expr) holds(value func(key string) string) bool {
	if len(e) == 0 {
		return true
	}
	return slices.ContainsFunc(e, func(all []test) bool {
		return !slices.ContainsFunc(all, func(t test) bool { return !t.holds(value) })
	})
}

// fails lists the tests that do not hold, for the message why a group is skipped.
func (e expr) fails(value func(key string) string) []test {
	var out []test
	for _, all := range e {
		for _, t := range all {
			if !t.holds(value) {
				out = append(out, t)
			}
		}
	}
	return out
}

func (t test) holds(value func(string) string) bool {
	left := t.left.in(value)
	switch {
	case t.op == "==":
		return left == t.right.in(value)
	case t.op == "!=":
		return left != t.right.in(value)
	case t.list != nil:
		return slices.Contains(t.list, left)
	}
	return strings.Contains(t.right.in(value), left)
}

func (t term) in(value func(string) string) string {
	if t.key == "" {
		return t.text
	}
	return value(t.key)
}

// String is the condition as a user would say it.
func (e expr) String() string {
	var any []string
	for _, all := range e {
		var words []string
		for _, t := range all {
			words = append(words, t.String())
		}
		any = append(any, strings.Join(words, " and "))
	}
	return strings.Join(any, " or ")
}

// String is the test as a user would say it.
func (t test) String() string {
	switch {
	case t.list != nil:
		return fmt.Sprintf("%s is one of %s", t.left, strings.Join(t.list, ", "))
	case t.op == "in":
		return fmt.Sprintf("%s has %s", t.right, t.left)
	case t.op == "!=" && t.right == term{}:
		return fmt.Sprintf("%s is set", t.left)
	case t.op == "!=":
		return fmt.Sprintf("%s is not %s", t.left, t.right)
	}
	return fmt.Sprintf("%s=%s", t.left, t.right)
}

func (t term) String() string {
	if t.key != "" {
		return t.key
	}
	return t.text
}

// parseExpr reads a condition; the empty one always holds.
func parseExpr(text string) (expr, error) {
	if text == "" {
		return nil, nil
	}
	words, err := tokens(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read condition %q: %w", text, err)
	}
	r := &reader{words: words}
	e, err := r.or()
	if err == nil && len(r.words) > 0 {
		err = fmt.Errorf("%q too much", r.words[0])
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read condition %q: %w", text, err)
	}
	return e, nil
}

// tokens cuts text into words; a literal keeps its opening quote.
func tokens(text string) ([]string, error) {
	var out []string
	for {
		text = strings.TrimLeft(text, " ")
		if text == "" {
			return out, nil
		}
		n := strings.IndexAny(text, " (),='!")
		switch {
		case text[0] == '\'':
			end := strings.IndexByte(text[1:], '\'')
			if end < 0 {
				return nil, errors.New("a quote is not closed")
			}
			out, text = append(out, text[:end+1]), text[end+2:]
			continue
		case strings.HasPrefix(text, "=="), strings.HasPrefix(text, "!="):
			n = 2
		case n == 0:
			n = 1
		case n < 0:
			n = len(text)
		}
		out, text = append(out, text[:n]), text[n:]
	}
}

type reader struct{ words []string }

func (r *reader) next() string {
	if len(r.words) == 0 {
		return ""
	}
	w := r.words[0]
	r.words = r.words[1:]
	return w
}

func (r *reader) accept(word string) bool {
	if len(r.words) > 0 && r.words[0] == word {
		r.words = r.words[1:]
		return true
	}
	return false
}

func (r *reader) or() (expr, error) {
	var e expr
	for {
		all, err := r.and()
		if err != nil {
			return nil, err
		}
		e = append(e, all)
		if !r.accept("or") {
			return e, nil
		}
	}
}

func (r *reader) and() ([]test, error) {
	var all []test
	for {
		t, err := r.test()
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		if !r.accept("and") {
			return all, nil
		}
	}
}

func (r *reader) test() (t test, err error) {
	if t.left, err = r.term(); err != nil {
		return t, err
	}
	t.op = r.next()
	switch {
	case t.op == "in" && r.accept("("):
		t.list, err = r.list()
	case t.op == "in", t.op == "==", t.op == "!=":
		t.right, err = r.term()
	default:
		err = fmt.Errorf("%q is no comparison", t.op)
	}
	return t, err
}

func (r *reader) list() ([]string, error) {
	var out []string
	for {
		item, err := r.term()
		if err != nil {
			return nil, err
		}
		out = append(out, item.text)
		if r.accept(")") {
			return out, nil
		}
		if !r.accept(",") {
			return nil, errors.New("a list is not closed")
		}
	}
}

func (r *reader) term() (term, error) {
	w := r.next()
	switch {
	case strings.HasPrefix(w, "'"):
		return term{text: w[1:]}, nil
	case strings.HasPrefix(w, "CONFIG_"):
		return term{key: w}, nil
	}
	return term{}, fmt.Errorf("%q is neither a key nor a quoted text", w)
}
