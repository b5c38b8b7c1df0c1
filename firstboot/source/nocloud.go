package source

import (
	"errors"
	"fmt"
	"strings"
)

// Where NoCloud's seed stands in the file system (cloud-init, DataSourceNoCloud.py).
const seedDir = "/var/lib/cloud/seed/nocloud/meta-data"

// seedVolumes reads meta-data from a volume labelled cidata or CIDATA.
func (f *finder) seedVolumes() (*draft, error) {
	v, err := f.labelled("cidata")
	if err != nil || v == nil {
		return nil, err
	}
	data, err := v.file("NoCloud seed")
	if err != nil {
		return nil, err
	}
	return parseMetaData("NoCloud seed on "+v.device, data), nil
}

func (f *finder) seedDir() (*draft, error) {
	data, ok, err := optional(f, seedDir)
	if err != nil || !ok {
		return nil, err
	}
	return parseMetaData("NoCloud seed "+seedDir, data), nil
}

// metaFields are the keys of meta-data that say who the machine is. Everything that cloud-init has no word for stands
// under "goldsmith.".
func metaField(key string) (string, bool) {
	switch key {
	case "instance-id":
		return "instance", true
	case "local-hostname":
		return "hostname", true
	}
	if rest, ok := strings.CutPrefix(key, cmdlinePrefix); ok {
		return rest, true
	}
	return "", false
}

// parseMetaData reads the flat part of a meta-data file: "key: value" from column 0, or one JSON object. Other keys may
// hold anything, lists and blocks too, and are skipped; our own keys must be plain or quoted text on their line. That is a
// strict subset of YAML: what it reads, every YAML reader reads alike, and what they might read otherwise it refuses.
func parseMetaData(source string, data []byte) *draft {
	d := &draft{source: source}
	text := strings.TrimPrefix(string(data), "\ufeff")
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		d.metaJSON([]byte(text))
		return d
	}
	seen := map[string]bool{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		key, value, ok := metaLine(strings.TrimSuffix(line, "\r"))
		field, ours := metaField(key)
		if !ok || !ours {
			continue
		}
		plain, err := scalar(value)
		switch {
		case err == nil && i+1 < len(lines) && continues(lines[i+1:]):
			d.fail(key, "goes on in the next line")
		case err != nil:
			d.fail(key, "%w", err)
		case seen[field]:
			d.fail(key, "stands twice")
		default:
			d.set(field, plain)
		}
		seen[field] = true
	}
	return d
}

func (d *draft) metaJSON(data []byte) {
	list, err := members(data)
	if err != nil {
		d.errs = append(d.errs, fmt.Errorf("cannot read %s: %w", d.source, err))
	}
	for _, m := range list {
		field, ours := metaField(m.name)
		if !ours {
			continue
		}
		text := strings.Trim(string(m.value), `"`)
		if len(text)+2 != len(m.value) || strings.Contains(text, `\`) {
			d.fail(m.name, "want a plain text, not %.40s", m.value)
			continue
		}
		d.set(field, text)
	}
}

// metaLine splits "key: value". Comments, document marks and indented lines are none. A key may be quoted.
func metaLine(line string) (key, value string, ok bool) {
	if line == "" || strings.ContainsAny(line[:1], " \t#-") {
		return "", "", false
	}
	key, value, ok = strings.Cut(line, ":")
	if !ok || value != "" && value[0] != ' ' && value[0] != '\t' {
		return "", "", false
	}
	return strings.Trim(strings.TrimSpace(key), `"'`), strings.TrimSpace(value), true
}

// continues tells whether the first line that is not empty or a comment is indented, so that a YAML reader would join it.
func continues(lines []string) bool {
	for _, l := range lines {
		t := strings.TrimSpace(l)
		if t == "" || t[0] == '#' {
			continue
		}
		return l[0] == ' ' || l[0] == '\t'
	}
	return false
}

// scalar decodes a value on one line: plain, 'single' with two quotes for one, or "double" without escapes.
func scalar(v string) (string, error) {
	if v == "" || v[0] == '#' {
		return "", errors.New("no value")
	}
	switch v[0] {
	case '"', '\'':
		return quotedScalar(v)
	case '|', '>', '[', '{', '&', '*', '!', '%', '@', '`', '-', '?', ',':
		return "", fmt.Errorf("want a text on one line, not %.40q", v)
	}
	if i := strings.Index(v, " #"); i >= 0 {
		v = strings.TrimSpace(v[:i])
	}
	if strings.Contains(v, ": ") || strings.HasSuffix(v, ":") {
		return "", fmt.Errorf("want a text on one line, not %.40q", v)
	}
	return v, nil
}

func quotedScalar(v string) (string, error) {
	quote := v[0]
	end := strings.LastIndexByte(v, quote)
	if rest := strings.TrimSpace(v[end+1:]); end == 0 || rest != "" && rest[0] != '#' {
		return "", fmt.Errorf("the quotes of %.40q do not close", v)
	}
	text := v[1:end]
	if quote == '"' {
		if strings.ContainsAny(text, `\"`) {
			return "", errors.New("escapes are not understood here")
		}
		return text, nil
	}
	if strings.Contains(strings.ReplaceAll(text, "''", ""), "'") {
		return "", fmt.Errorf("the quotes of %.40q do not close", v)
	}
	return strings.ReplaceAll(text, "''", "'"), nil
}
