package oned

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// A Finding is something in a file that oned accepts, or dies of, and that hardly anyone means.
type Finding struct {
	Line int // 1-based; 0 where the finding is about the whole file
	What string
}

func (f Finding) String() string { return fmt.Sprintf("line %d: %s", f.Line, f.What) }

// Lint lists the traps of the language that data steps into. A file that does not parse gives one finding.
func Lint(data []byte) []Finding {
	f, err := Parse(data)
	if err != nil {
		return []Finding{{What: err.Error()}}
	}
	var out []Finding
	for i, t := range f.strays {
		if i == 0 || f.strays[i-1].end != t.pos {
			out = append(out, Finding{f.line(t.pos), strayAdvice(data, t)})
		}
	}
	for i, a := range f.Attrs {
		out = append(out, f.lintTwice(i)...)
		out = append(out, lintValue(a.Name, a.Value, a.Line)...)
		for j, p := range a.Pairs {
			if a.index(p.Name) != j {
				out = append(out, Finding{p.Line, fmt.Sprintf("%s stands twice in %s, oned uses the first", p.Name, a.Name)})
			}
			out = append(out, lintValue(a.Name+"/"+p.Name, p.Value, p.Line)...)
		}
		if a.Name == "MAC_PREFIX" {
			out = append(out, lintPrefix(a)...)
		}
	}
	return out
}

func (f *File) line(pos int) int { return (&parser{lexer: lexer{src: f.src}}).line(pos) }

func strayAdvice(data []byte, t token) string {
	if data[t.pos] == '#' {
		return "a # between = and its value, or in a last line without newline, is no comment: oned reads what follows it"
	}
	return fmt.Sprintf("oned skips %q", data[t.pos:t.end])
}

// lintTwice finds attributes that lose against an earlier namesake. Attributes that are made to be repeated are the lists
// (INHERIT_DATASTORE_ATTR and its like), the drivers and the hooks.
func (f *File) lintTwice(i int) []Finding {
	a := f.Attrs[i]
	if strings.HasSuffix(a.Name, "_ATTR") && !a.Vector {
		return nil
	}
	repeats := strings.HasSuffix(a.Name, "_MAD") || strings.HasSuffix(a.Name, "_MAD_CONF") || strings.HasSuffix(a.Name, "_HOOK")
	name, named := a.Get("NAME")
	for _, b := range f.Attrs[:i] {
		other, _ := b.Get("NAME")
		switch {
		case b.Name != a.Name || repeats && (!named || other != name):
		case repeats:
			return []Finding{{a.Line, fmt.Sprintf("%s %q stands at line %d already", a.Name, name, b.Line)}}
		default:
			return []Finding{{a.Line, fmt.Sprintf("%s has no effect, oned uses the one at line %d", a.Name, b.Line)}}
		}
	}
	return nil
}

func lintValue(where, v string, line int) []Finding {
	switch {
	case strings.ContainsAny(v, "“”„‟"):
		return []Finding{{line, fmt.Sprintf("%s: curly quotes are part of the value %s", where, v)}}
	case len(v) > 1 && v[0] == '\'' && v[len(v)-1] == '\'':
		return []Finding{{line, fmt.Sprintf("%s: single quotes are part of the value %s", where, v)}}
	case strings.HasPrefix(v, `"`):
		return []Finding{{line, fmt.Sprintf("%s: the double quotes are part of the value %s", where, v)}}
	}
	return nil
}

// lintPrefix checks MAC_PREFIX: two octets, locally administered and not multicast, since VMs get MACs that begin with it.
func lintPrefix(a Attr) []Finding {
	b, err := hex.DecodeString(strings.ReplaceAll(a.Value, ":", ""))
	switch {
	case err != nil || len(b) != 2 || len(a.Value) != 5 || a.Value[2] != ':':
		return []Finding{{a.Line, fmt.Sprintf("MAC_PREFIX %q is not two octets such as 02:00", a.Value)}}
	case b[0]&1 != 0:
		return []Finding{{a.Line, fmt.Sprintf("MAC_PREFIX %q makes multicast addresses", a.Value)}}
	case b[0]&2 == 0:
		return []Finding{{a.Line, fmt.Sprintf("MAC_PREFIX %q is not locally administered", a.Value)}}
	}
	return nil
}
