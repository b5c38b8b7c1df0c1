// Package shellvar edits files of shell variables: ifcfg-*, keystonerc_* and openrc, /etc/default/*, /etc/sysconfig/*,
// rabbitmq-env.conf, os-release. Some of them are sourced by a shell, others are read by systemd or NetworkManager, which
// know no expansions and no commands; this package believes only what all of them read alike.
//
// A key is the name of the variable. Quotes and escapes are decoded. Of a variable that is set several times the last one
// counts. The rest of the script is read far enough to know where words and commands begin and end, and is left alone.
//
// What cannot be known without running the script is an error, but only for the variable that it concerns: a value with
// an expansion or a command in it, an array, an assignment inside if, case, a loop, a function or an && list, or one that
// holds only for the command behind it. A here-document makes the whole file unreadable.
package shellvar

import (
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/text"
	"goldsmith/firstboot/text/edit"
)

// Codec reads and sets single variables. A new one goes to the end of the file, exported if the one above it is.
var Codec = format.Codec()

var format = edit.Format{Name: "shellvar", Scan: Scan, ID: id, Encode: Encode, Add: Add, Deletes: true}

// List returns all variables whose value is known, in file order.
func List(data []byte) ([]text.Entry, error) { return Codec.List(data) }

func id(key string) (string, error) {
	if !isName(key) {
		return "", fmt.Errorf("cannot use %q as a key: it is no name of a shell variable", key)
	}
	return key, nil
}

func isName(s string) bool { return s != "" && nameLength([]byte(s)) == len(s) }

// nameLength returns the length of the variable name that s begins with.
func nameLength(s []byte) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

// plain are the characters that mean nothing to any reader of these files.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"

// Encode spells value in place of it: it keeps the quotes that are there, and adds quotes only where the value needs them.
func Encode(data []byte, it edit.Item, value string) (string, error) {
	if strings.ContainsAny(value, "\r\n\x00") {
		return "", errors.New("cannot write a line break or NUL into a shell variable: its readers disagree about it")
	}
	old := string(it.Text.Of(data))
	switch {
	case strings.HasPrefix(old, `"`):
		return double(value), nil
	case strings.HasPrefix(old, "'") && !strings.Contains(value, "'"):
		return "'" + value + "'", nil
	case strings.Trim(value, plain) == "":
		return value, nil
	case strings.ContainsAny(value, "$`\\\"") && !strings.Contains(value, "'"):
		return "'" + value + "'", nil
	}
	return double(value), nil
}

func double(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(value) + `"`
}

// Add appends a variable.
func Add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	spelled, err := Encode(data, edit.Item{}, value)
	if err != nil {
		return nil, err
	}
	line := key + "=" + spelled
	if len(items) > 0 && exported(data, items[len(items)-1]) {
		line = "export " + line
	}
	return edit.InsertLines(data, len(data), line), nil
}

func exported(data []byte, it edit.Item) bool {
	for l := range edit.Lines(data) {
		if l.Number == it.Line {
			return strings.HasPrefix(strings.TrimLeft(string(l.Text), " \t"), "export ")
		}
	}
	return false
}
