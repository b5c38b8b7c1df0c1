package source

import (
	"errors"
	"fmt"
	"strings"
)

// contextVolume reads context.sh from the volume that OpenNebula labels CONTEXT.
func (f *finder) contextVolume() (*draft, error) {
	v, err := f.labelled("CONTEXT")
	if err != nil || v == nil {
		return nil, err
	}
	data, err := v.file("OpenNebula context")
	if err != nil {
		return nil, err
	}
	return parseContext("OpenNebula context on "+v.device, string(data)), nil
}

// contextField returns the claim's field for a variable of the context. SET_HOSTNAME is what OpenNebula's own scripts obey
// (one-apps, loc-15-hostname), HOSTNAME what cloud-init takes besides; VMID stands there when the template asks for it.
func contextField(name string) (string, bool) {
	switch name {
	case "SET_HOSTNAME", "HOSTNAME":
		return "hostname", true
	case "VMID":
		return "instance", true
	}
	rest, ok := strings.CutPrefix(name, "GOLDSMITH_")
	field := strings.ToLower(rest)
	if peer, isPeer := strings.CutPrefix(field, "peer_"); isPeer {
		field = "peer." + strings.ReplaceAll(peer, "_", "-")
	}
	return field, ok
}

// parseContext reads the assignments of a context.sh. OpenNebula's own scripts source this file as root; here it is only
// data, and whatever a shell would execute in it is a mistake.
func parseContext(source, text string) *draft {
	d := &draft{source: source}
	vars, err := assignments(text)
	if err != nil {
		d.errs = append(d.errs, fmt.Errorf("cannot read %s: %w", source, err))
		return d
	}
	for _, v := range vars {
		field, ours := contextField(v.name)
		if !ours || v.value == "" || v.name == "HOSTNAME" && has(vars, "SET_HOSTNAME") {
			continue
		}
		if v.name == "VMID" {
			v.value = "one-" + v.value
		}
		d.set(field, v.value)
	}
	return d
}

type variable struct{ name, value string }

func has(vars []variable, name string) bool {
	for _, v := range vars {
		if v.name == name && v.value != "" {
			return true
		}
	}
	return false
}

// assignments parses NAME=WORD lines as a shell would, without doing anything: 'single', "double" and \x quoting, words of
// several such parts, values of several lines.
func assignments(text string) ([]variable, error) {
	p := shell{rest: text, line: 1}
	var vars []variable
	for {
		p.skip()
		if p.rest == "" {
			return vars, nil
		}
		v, err := p.assignment()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", p.line, err)
		}
		vars = append(vars, v)
	}
}

type shell struct {
	rest string
	line int
}

// skip passes blanks, empty lines and comments between assignments.
func (p *shell) skip() {
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '#':
			end := strings.IndexByte(p.rest, '\n')
			if end < 0 {
				end = len(p.rest)
			}
			p.rest = p.rest[end:]
		case strings.IndexByte(" \t\r\n", c) >= 0:
			p.take(1)
		default:
			return
		}
	}
}

// take returns the next n bytes and counts their lines.
func (p *shell) take(n int) string {
	s := p.rest[:n]
	p.rest = p.rest[n:]
	p.line += strings.Count(s, "\n")
	return s
}

func (p *shell) assignment() (variable, error) {
	p.rest = strings.TrimPrefix(p.rest, "export ")
	n := strings.IndexFunc(p.rest, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	if n <= 0 || p.rest[n] != '=' || p.rest[0] >= '0' && p.rest[0] <= '9' {
		return variable{}, errors.New("not an assignment NAME='value'")
	}
	name := p.take(n)
	p.take(1)
	value, err := p.word()
	if err != nil {
		return variable{}, fmt.Errorf("%s: %w", name, err)
	}
	return variable{name, value}, nil
}

// word reads one shell word up to the blank that ends it.
func (p *shell) word() (string, error) {
	var out strings.Builder
	for p.rest != "" {
		switch c := p.rest[0]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			return out.String(), nil
		case c == '\'':
			part, err := p.single()
			if err != nil {
				return "", err
			}
			out.WriteString(part)
		case c == '"':
			part, err := p.double()
			if err != nil {
				return "", err
			}
			out.WriteString(part)
		case c == '\\' && len(p.rest) > 1 && p.rest[1] != '\n':
			out.WriteString(p.take(2)[1:])
		case strings.IndexByte("$`;&|<>()*?[]{}~!\\", c) >= 0:
			return "", fmt.Errorf("%q would be executed, and nothing here is", c)
		default:
			out.WriteString(p.take(1))
		}
	}
	return out.String(), nil
}

func (p *shell) single() (string, error) {
	end := strings.IndexByte(p.rest[1:], '\'')
	if end < 0 {
		return "", errors.New("a quote is not closed")
	}
	s := p.take(end + 2)
	return s[1 : len(s)-1], nil
}

func (p *shell) double() (string, error) {
	var out strings.Builder
	p.take(1)
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '"':
			p.take(1)
			return out.String(), nil
		case c == '\\' && len(p.rest) > 1 && strings.IndexByte("$`\"\\", p.rest[1]) >= 0:
			out.WriteString(p.take(2)[1:])
		case c == '$' || c == '`':
			return "", fmt.Errorf("%q would be executed, and nothing here is", c)
		default:
			out.WriteString(p.take(1))
		}
	}
	return "", errors.New("a quote is not closed")
}
