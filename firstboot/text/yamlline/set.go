package yamlline

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"goldsmith/firstboot/text"
)

// set changes one scalar. A key of the first level that is absent is added below its commented-out line, else at the end;
// a nested one is [text.ErrNoKey].
func set(data []byte, key, value string) ([]byte, error) {
	if strings.ContainsFunc(value, unprintable) {
		return nil, fmt.Errorf("cannot write %s: the value %q does not fit on one line of YAML", key, value)
	}
	key = clean(key)
	all, err := parse(data)
	if err != nil {
		return nil, err
	}
	i := last(all, key)
	if i < 0 {
		return add(data, key, value)
	}
	e := all[i]
	if e.Value == value {
		return bytes.Clone(data), nil
	}
	raw := write(value, string(data[e.at:e.end]))
	if e.at == e.end {
		raw = " " + raw
	}
	return prove(append(append(bytes.Clone(data[:e.at]), raw...), data[e.end:]...), key, value)
}

func add(data []byte, key, value string) ([]byte, error) {
	if strings.Contains(key, "/") || !keyLine.MatchString(key+":") {
		return nil, fmt.Errorf("%w: %s", text.ErrNoKey, key)
	}
	if m := regexp.MustCompile(`(?m)^:?` + regexp.QuoteMeta(key) + `:`).Find(data); m != nil {
		return nil, fmt.Errorf("cannot set %s: it is no single value", key)
	}
	colon, nl := "", "\n"
	if bytes.HasPrefix(data, []byte(":")) || bytes.Contains(data, []byte("\n:")) {
		colon = ":"
	}
	if bytes.Contains(data, []byte("\r\n")) {
		nl = "\r\n"
	}
	line := colon + key + ": " + write(value, "") + nl
	at := len(data)
	if m := regexp.MustCompile(`(?m)^# ?:?` + regexp.QuoteMeta(key) + `:.*\n`).FindIndex(data); m != nil {
		at = m[1]
	}
	if at > 0 && data[at-1] != '\n' { // a file that lacks its last line end goes on doing so
		line = nl + strings.TrimSuffix(line, nl)
	}
	return prove(append(append(bytes.Clone(data[:at]), line...), data[at:]...), key, value)
}

// prove reads the result before anybody else does.
func prove(out []byte, key, value string) ([]byte, error) {
	got, ok, err := get(out, key)
	if err != nil || !ok || got != value {
		return nil, fmt.Errorf("cannot set %s safely: the result reads %q (%w)", key, got, err)
	}
	return out, nil
}

// safe is a plain scalar that every YAML reader takes for that string, or for the number or word that stood there.
var safe = regexp.MustCompile(`^[A-Za-z0-9_./+][A-Za-z0-9_./+:@%-]*$`)

// write renders a value in the style of the one it replaces.
func write(value, old string) string {
	switch {
	case strings.HasPrefix(old, `"`):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
	case strings.HasPrefix(old, "'") || !safe.MatchString(value) || strings.HasSuffix(value, ":"):
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	}
	return value
}

// unprintable says whether r is a control character, a line end, or what invalid UTF-8 decodes to.
func unprintable(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\uFFFD' || r == 0x2028 || r == 0x2029 || r == '\uFEFF'
}
