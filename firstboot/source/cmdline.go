package source

import (
	"strings"
)

// prefix of the parameters that are ours. "goldsmith=off", without the dot, is the units' kill switch.
const cmdlinePrefix = "goldsmith."

// cmdline reads goldsmith.FIELD=VALUE parameters. A container has no kernel of its own: there the arguments of its first
// process take the place, as systemd does it (proc-cmdline.c).
func (f *finder) cmdline() (*draft, error) {
	path, split := "/proc/cmdline", kernelWords
	if container(f) {
		path, split = "/proc/1/cmdline", nulWords
	}
	data, ok, err := optional(f, path)
	if err != nil || !ok {
		return nil, err
	}
	return parseCmdline("the kernel command line", split(string(data))), nil
}

func parseCmdline(source string, words []string) *draft {
	d := &draft{source: source}
	seen := map[string]bool{}
	for _, w := range words {
		rest, ours := strings.CutPrefix(w, cmdlinePrefix)
		if !ours {
			continue
		}
		field, value, ok := strings.Cut(rest, "=")
		if !strings.HasPrefix(field, "peer.") {
			field = strings.ReplaceAll(field, "-", "_") // the kernel takes both
		}
		switch {
		case !ok:
			d.fail(field, "no value")
		case seen[field]:
			d.fail(field, "stands twice")
		case field == "cluster":
			d.fail(field, "a secret cannot stand where every user reads it; use another source")
		default:
			d.set(field, value)
		}
		seen[field] = true
	}
	if len(seen) == 0 {
		return nil
	}
	return d
}

func nulWords(line string) []string { return strings.Split(line, "\x00") }

// kernelWords splits a command line as the kernel does (lib/cmdline.c, next_arg): blanks separate, double quotes hold
// together and vanish, there is no escape.
func kernelWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted := false
	flush := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	for _, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
		case strings.ContainsRune(" \t\r\n\v\f", r) && !quoted:
			flush()
		default:
			word.WriteRune(r)
		}
	}
	flush()
	return words
}
