package ini

import (
	"bytes"
	"strings"

	"goldsmith/firstboot/text/edit"
)

// encode spells value in place of it: same quotes, and further lines with the indentation that the old ones had.
func encode(data []byte, it edit.Item, value string) (string, error) {
	old := string(it.Text.Of(data))
	end := edit.LineEnd(data, it.Text.From)
	first, rest, multi := strings.Cut(value, "\n")
	indent := "    "
	oldFirst, oldRest, oldMulti := strings.Cut(edit.Unified(old, "\n"), "\n")
	if oldMulti {
		indent = oldRest[:len(oldRest)-len(strings.TrimLeft(oldRest, " \t"))]
	}
	spelled := quote(first, oldFirst)
	if multi {
		spelled += end + indent + strings.ReplaceAll(rest, "\n", end+indent)
	}
	if old == "" && bytes.HasSuffix(data[:it.Text.From], []byte(" =")) {
		spelled = " " + spelled
	}
	return spelled, nil
}

// quote puts quotes round a value where the old one had them, or where the reader would change it without them.
func quote(value, old string) string {
	switch {
	case len(old) > 1 && quoted(old):
		return old[:1] + value + old[:1]
	case quoted(value) || value != string(trim([]byte(value))):
		return `"` + value + `"`
	}
	return value
}

// add puts a new option at the end of the last block of its section, or a new section at the end of the file.
func add(data []byte, items []edit.Item, key, value string) ([]byte, error) {
	section, option, err := split(key)
	if err != nil {
		return nil, err
	}
	if at, found := blockEnd(data, items, normal(section)); found {
		return edit.InsertLines(data, at, assignment(data, items, at, option, value)...), nil
	}
	line := assignment(data, items, len(data), option, value)
	head := []string{"[" + section + "]"}
	if last := lastLine(data); len(trim(last)) > 0 {
		head = append([]string{""}, head...)
	}
	return edit.InsertLines(data, len(data), append(head, line...)...), nil
}

// blockEnd returns the offset after the last assignment of the section's last block, or after its header where there is none.
func blockEnd(data []byte, items []edit.Item, section string) (at int, found bool) {
	inside := false
	for l := range edit.Lines(data) {
		line := trim(l.Text)
		if len(line) > 1 && l.Text[0] == '[' {
			if inside = normal(string(line[1:len(line)-1])) == section; inside {
				at, found = l.Stop(), true
			}
			continue
		}
		for inside && len(items) > 0 && items[0].Whole.From < l.Start {
			items = items[1:]
		}
		if inside && len(items) > 0 && items[0].Whole.From == l.Start {
			at = items[0].Whole.To
		}
	}
	return at, found
}

// assignment spells a new option as its neighbour above is spelled: packstack writes "a=b", Debian "a = b".
func assignment(data []byte, items []edit.Item, at int, option, value string) []string {
	mark := neighbour(data, items, at)
	first, rest, multi := strings.Cut(value, "\n")
	lines := []string{option + mark + quote(first, "")}
	if multi {
		for more := range strings.SplitSeq(rest, "\n") {
			lines = append(lines, "    "+more)
		}
	}
	return lines
}

// neighbour returns the mark between option and value, with its blanks, of the assignment above at.
func neighbour(data []byte, items []edit.Item, at int) string {
	if len(items) == 0 {
		return " = "
	}
	above := items[0]
	for _, it := range items {
		if it.Whole.From < at {
			above = it
		}
	}
	head := data[above.Whole.From:above.Text.From]
	mark := bytes.IndexAny(head, "=:")
	if head[mark-1] == ' ' || head[mark-1] == '\t' {
		return " = "
	}
	return string(head[mark : mark+min(2, len(head)-mark)])
}

func lastLine(data []byte) []byte {
	var last []byte
	for l := range edit.Lines(data) {
		last = l.Text
	}
	return last
}
