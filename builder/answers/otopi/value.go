package otopi

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The types of otopi's notation.
const (
	None     = "none"
	Bool     = "bool"
	Int      = "int"
	Str      = "str"
	MultiStr = "multi-str"
)

// A Value is one answer with its type.
type Value struct {
	Type string
	Text string // what stands behind the colon
}

// String is the notation that otopi reads.
func (v Value) String() string { return v.Type + ":" + v.Text }

// Truth is what otopi makes of a bool: false for five texts only, true for everything else, the empty one included.
func (v Value) Truth() bool { return !slices.Contains([]string{"f", "F", "false", "False"}, v.Text) }

// ParseValue reads type:value as otopi's parseTypedValue does, and refuses what otopi refuses.
func ParseValue(text string) (Value, error) {
	typ, rest, ok := strings.Cut(text, ":")
	if !ok {
		return Value{}, errors.New("the type is missing in front of the value")
	}
	v := Value{Type: typ, Text: rest}
	switch typ {
	case None, Bool, Str, MultiStr:
		return v, nil
	case Int:
		if _, err := strconv.Atoi(strings.TrimSpace(rest)); err != nil {
			return v, errors.New("the value of an int is not a whole number")
		}
		return v, nil
	}
	return v, fmt.Errorf("%q is no type (there are %s, %s, %s, %s, %s)", typ, None, Bool, Int, Str, MultiStr)
}

// meant returns the type that somebody who wrote another word for it was after, "" if that is not clear.
func meant(typ string) string {
	switch strings.ToLower(strings.TrimSpace(typ)) {
	case "bool", "boolean", "truth":
		return Bool
	case "int", "integer", "number", "long":
		return Int
	case "str", "string", "text", "unicode":
		return Str
	case "multi-str", "multistr", "multi_str", "list", "strings":
		return MultiStr
	case "none", "null", "nil":
		return None
	}
	return ""
}

// quoted reports whether the text stands in quotes, which otopi takes as part of the value.
func quoted(text string) bool {
	return len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0]
}
