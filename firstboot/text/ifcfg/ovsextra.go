package ifcfg

import (
	"errors"
	"strings"

	"goldsmith/firstboot/text/edit"
	"goldsmith/firstboot/text/shellvar"
)

// Why a column's value is not known.
var (
	errFromShell = errors.New("OVS_EXTRA takes the value from a shell expansion; set the variable in it instead")
	errSpelling  = errors.New("OVS_EXTRA is quoted or escaped in a way that this program does not read")
)

// A token is one word of OVS_EXTRA as it is spelled in the file.
type token struct {
	text string
	at   int // offset in the file
}

// columns finds "set TABLE RECORD COLUMN[:KEY]=VALUE ..." in the commands of OVS_EXTRA, which "--" separates. The value of
// OVS_EXTRA is split at blanks by the shell and its quotes mean nothing to it: it reaches ovs-vsctl through "-- $OVS_EXTRA".
func columns(data []byte, it edit.Item, vars []edit.Item) []edit.Item {
	var items []edit.Item
	var command []token
	for _, t := range append(tokens(data, it.Text), token{text: "--"}) {
		if t.text != "--" {
			command = append(command, t)
			continue
		}
		items = append(items, set(command, it, vars)...)
		command = nil
	}
	return items
}

// tokens splits the value at blanks, inside one pair of outer quotes where it has them.
func tokens(data []byte, at edit.Span) []token {
	raw := string(at.Of(data))
	if len(raw) > 1 && (raw[0] == '"' || raw[0] == '\'') && raw[len(raw)-1] == raw[0] {
		raw = " " + raw[1:len(raw)-1]
	}
	raw = strings.NewReplacer(" \\\n", "   ", " \\\r\n", "    ").Replace(raw) // continued lines
	var all []token
	for from := 0; from < len(raw); {
		n := strings.IndexAny(raw[from:], " \t\r\n")
		if n < 0 {
			n = len(raw) - from
		}
		if n > 0 {
			all = append(all, token{raw[from : from+n], at.From + from})
		}
		from += n + 1
	}
	return all
}

// set returns the columns of one command, if it is a set. They share the fate of OVS_EXTRA itself, except that an expansion
// elsewhere in it does them no harm.
func set(command []token, it edit.Item, vars []edit.Item) []edit.Item {
	for len(command) > 0 && strings.HasPrefix(command[0].text, "--") {
		command = command[1:] // --if-exists, --id=@x
	}
	if len(command) < 4 || command[0].text != "set" {
		return nil
	}
	record := resolved(command[2].text, vars)
	var items []edit.Item
	for _, t := range command[3:] {
		column, value, ok := strings.Cut(t.text, "=")
		if !ok {
			continue
		}
		part := read(value, t.at+len(column)+1)
		part.Key = strings.Join([]string{extra, command[1].text, record, column}, " ")
		part.ID, part.Line = columnID(command[1].text, record, column), it.Line
		if it.Err != nil && !errors.Is(it.Err, shellvar.ErrExpansion) {
			part.Err = it.Err
		}
		items = append(items, part)
	}
	return items
}

// read decodes a value that stands at from. ovs-vsctl takes "text" for text; inside the shell's double quotes it is \"text\".
func read(value string, from int) edit.Item {
	for _, quote := range []string{`\"`, `"`} {
		inner, ok := strings.CutPrefix(value, quote)
		if ok && len(inner) >= len(quote) && strings.HasSuffix(inner, quote) {
			value, from = inner[:len(inner)-len(quote)], from+len(quote)
			break
		}
	}
	it := edit.Item{Value: value, Text: edit.Span{From: from, To: from + len(value)}}
	switch {
	case strings.ContainsAny(value, "$`"):
		it.Err = errFromShell
	case value == "" || strings.ContainsAny(value, "\"'\\"):
		it.Err = errSpelling
	case isMAC(value):
		it.Value = strings.ToLower(value)
	}
	return it
}

// resolved returns the record that a word names: $DEVICE is the interface of this very file.
func resolved(word string, vars []edit.Item) string {
	name, ok := strings.CutPrefix(word, "$")
	if inner, braced := strings.CutPrefix(name, "{"); braced {
		name, ok = strings.CutSuffix(inner, "}")
	}
	if it, found := edit.Find(vars, name); ok && found && it.Err == nil {
		return it.Value
	}
	return word
}
