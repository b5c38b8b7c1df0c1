package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"goldsmith/builder/tree"
)

// PluginDiff reads the plugin's patch of downloader.sh from where its package puts it.
func PluginDiff(root *tree.FS) ([]byte, error) {
	data, err := root.ReadFile(pluginDiff)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot find the Vitastor plugin: %w\nhint: install the package vitastor-opennebula first", err)
	}
	return data, err
}

// added returns the runs of lines that a unified diff adds, one run per hunk.
func added(diff []byte) [][]byte {
	var blocks [][]byte
	for line := range bytes.Lines(diff) {
		switch {
		case bytes.HasPrefix(line, []byte("@@")):
			blocks = append(blocks, nil)
		case len(blocks) > 0 && line[0] == '+':
			blocks[len(blocks)-1] = append(blocks[len(blocks)-1], line[1:]...)
		}
	}
	return blocks
}

// block picks the added lines that hold a text.
func block(blocks [][]byte, text string) ([]byte, error) {
	for _, b := range blocks {
		if bytes.Contains(b, []byte(text)) {
			return b, nil
		}
	}
	return nil, fmt.Errorf("the plugin's patch adds no %q", text)
}

const (
	vitastorFunction = "function get_vitastor_cmd"
	vitastorCase     = "vitastor://*)"
)

// insertFunction puts the plugin's function behind get_rbd_cmd, which ends at the first brace of column 0. The anchor stands in
// every downloader.sh from 5.8 to 7.x, while the context lines of the vendor's patch do not.
func insertFunction(blocks [][]byte) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		if hasLine(data, vitastorFunction) {
			return data, nil
		}
		fn, err := block(blocks, vitastorFunction)
		if err != nil {
			return nil, err
		}
		fn = append([]byte("\n"), bytes.Trim(fn, "\n")...)
		return insertBehind(data, `(?m)^function get_rbd_cmd\b`, `(?m)^\}[ \t]*\n`, append(fn, '\n'))
	}
}

// insertCase puts the vitastor:// branch behind the one for rbd://.
func insertCase(blocks [][]byte) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		if hasLine(data, vitastorCase) {
			return data, nil
		}
		branch, err := block(blocks, vitastorCase)
		if err != nil {
			return nil, err
		}
		return insertBehind(data, `(?m)^rbd://\*\)`, `(?m)^[ \t]*;;[ \t]*\n`, branch)
	}
}

// insertBehind inserts text behind the first match of end that follows the only match of start.
func insertBehind(data []byte, start, end string, text []byte) ([]byte, error) {
	all := regexp.MustCompile(start).FindAllIndex(data, -1)
	if len(all) != 1 {
		return nil, fmt.Errorf("found %d places that match %s instead of one", len(all), start)
	}
	m := regexp.MustCompile(end).FindIndex(data[all[0][1]:])
	if m == nil {
		return nil, fmt.Errorf("nothing behind %s matches %s", start, end)
	}
	return slices.Insert(bytes.Clone(data), all[0][1]+m[1], text...), nil
}

func hasLine(data []byte, prefix string) bool {
	return bytes.HasPrefix(data, []byte(prefix)) || bytes.Contains(data, []byte("\n"+prefix))
}

// addToRC adds a word to a blank-separated list in a shell file such as vmm_execrc. The last assignment counts, as in a shell.
func addToRC(name, word string) func([]byte) ([]byte, error) {
	assignment := regexp.MustCompile(`(?m)^[ \t]*` + regexp.QuoteMeta(name) + `=("[^"$` + "`" + `\\\n]*"|'[^'\n]*'|[^\s"'$#;]*)[ \t]*(?:#.*)?$`)
	return func(data []byte) ([]byte, error) {
		all := assignment.FindAllSubmatchIndex(data, -1)
		if len(all) == 0 {
			return nil, fmt.Errorf("there is no line %s=\"...\"", name)
		}
		at, end := all[len(all)-1][2], all[len(all)-1][3]
		list := strings.Trim(string(data[at:end]), `"'`)
		if slices.Contains(strings.Fields(list), word) {
			return data, nil
		}
		quote := `"`
		if at < end && data[at] == '\'' { // what stands in it is no shell's to expand
			quote = "'"
		}
		list = strings.TrimSpace(list + " " + word)
		return slices.Concat(data[:at], []byte(quote+list+quote), data[end:]), nil
	}
}

// allowRead adds an AppArmor rule that lets QEMU read a file.
func allowRead(name string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		if strings.ContainsAny(name, "\"\n\\*?[]{}^@") || !strings.HasPrefix(name, "/") {
			return nil, fmt.Errorf("%q is no plain absolute path", name)
		}
		rule := `"` + name + `" r,`
		for line := range strings.Lines(string(data)) {
			if l := strings.TrimSpace(line); l == rule || l == name+" r," {
				return data, nil
			}
		}
		out := bytes.Clone(data)
		if len(out) > 0 && out[len(out)-1] != '\n' {
			out = append(out, '\n')
		}
		return append(out, "  "+rule+"\n"...), nil
	}
}
