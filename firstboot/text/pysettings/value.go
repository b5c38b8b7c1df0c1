package pysettings

import (
	"errors"
	"strings"

	"goldsmith/firstboot/text/edit"
)

var errValue = errors.New("not a literal of strings, numbers, lists, tuples and dicts")

// checkValue tells whether value is one literal that Python accepts as it stands.
func checkValue(value string) error {
	tokens, err := lex([]byte(value))
	if err != nil {
		return err
	}
	g := grammar{tokens}
	if !g.literal(0) || len(g.rest) != 1 {
		return errValue
	}
	return nil
}

// A grammar reads literals from the front of its tokens.
type grammar struct{ rest []token }

// maxDepth is well below what Python's own parser takes.
const maxDepth = 50

func (g *grammar) accept(text string) bool {
	if len(g.rest) == 0 || !g.rest[0].is(text) {
		return false
	}
	g.rest = g.rest[1:]
	return true
}

func (g *grammar) literal(depth int) bool {
	switch {
	case len(g.rest) == 0 || depth > maxDepth:
		return false
	case g.rest[0].kind == str:
		return g.strings()
	case g.accept("["):
		return g.items("]", depth, false)
	case g.accept("("):
		return g.items(")", depth, false)
	case g.accept("{"):
		return g.items("}", depth, true)
	}
	negative := g.accept("-")
	t := g.rest[0]
	g.rest = g.rest[1:]
	return t.kind == word && (isNumber(t.text) || !negative && (t.text == "True" || t.text == "False" || t.text == "None"))
}

func (g *grammar) strings() bool {
	for ; g.rest[0].kind == str; g.rest = g.rest[1:] {
		if _, _, err := decode(g.rest[0].text); err != nil {
			return false
		}
	}
	return true
}

// items reads up to the closing bracket. In braces, the first item decides between a set and a dict.
func (g *grammar) items(closing string, depth int, braces bool) bool {
	dict, first := false, true
	for !g.accept(closing) {
		if braces && (g.rest[0].is("[") || g.rest[0].is("{")) || !g.literal(depth+1) {
			return false
		}
		pair := braces && g.accept(":")
		if pair && !g.literal(depth+1) || !first && pair != dict {
			return false
		}
		dict, first = pair, false
		if !g.accept(",") && !g.rest[0].is(closing) {
			return false
		}
	}
	return true
}

// isNumber accepts plain decimal integers and fractions.
func isNumber(s string) bool {
	whole, fraction, point := strings.Cut(s, ".")
	return allDigits(whole) && (!point && (len(whole) == 1 || whole[0] != '0') || point && allDigits(fraction))
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// sameShape tells whether two sources have the same tokens but for the text inside their strings.
func sameShape(a, b string) bool {
	was, err := lex([]byte(a))
	if err != nil {
		return false
	}
	is, err := lex([]byte(b))
	if err != nil || len(was) != len(is) {
		return false
	}
	for i, t := range was {
		if u := is[i]; t.text != u.text && !bothText(t, u) {
			return false
		}
	}
	return true
}

func bothText(a, b token) bool {
	if a.kind != str || b.kind != str {
		return false
	}
	_, _, errA := decode(a.text)
	_, _, errB := decode(b.text)
	return errA == nil && errB == nil
}

// An expr is one string expression: a literal, or several that Python joins.
type expr struct {
	value string
	style style     // of the first literal
	span  edit.Span // in the source
}

var (
	errNoString = errors.New("it is not one plain string")
	errNoList   = errors.New("it is not a list, tuple or set of plain strings")
)

// parseString reads a string expression, in parentheses or not.
func parseString(source string) (expr, error) {
	tokens, err := lex([]byte(source))
	if err != nil {
		return expr{}, err
	}
	g := grammar{tokens}
	parens := 0
	for g.accept("(") {
		parens++
	}
	e, ok := g.expr()
	for ok && parens > 0 {
		ok, parens = g.accept(")"), parens-1
	}
	if !ok || len(g.rest) != 1 {
		return expr{}, errNoString
	}
	return e, nil
}

// expr reads adjacent string literals.
func (g *grammar) expr() (e expr, ok bool) {
	for ; len(g.rest) > 0 && g.rest[0].kind == str; g.rest = g.rest[1:] {
		value, s, err := decode(g.rest[0].text)
		if err != nil {
			return e, false
		}
		if !ok {
			e.style, e.span, ok = s, g.rest[0].span, true
		}
		e.value += value
		e.span.To = g.rest[0].span.To
	}
	return e, ok
}
