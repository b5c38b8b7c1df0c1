package packstack

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/pyconf"
	"goldsmith/builder/answers/secret"
)

// Options says what New writes.
type Options struct {
	Preset   *Preset           // nil for packstack's own defaults
	Set      map[string]string // answers by key; they win over the preset
	Address  string            // for hosts that neither names; "" is 127.0.0.1
	Hostname string            // for certificates; "" is localhost
	Random   io.Reader         // crypto/rand.Reader
}

// New writes a complete answer file: every key of the release once, in packstack's order, in pure ASCII, every password
// random. A value that Check would call an error is refused, all of them at once, as [lint.Rejected].
func New(m *Model, o Options) ([]byte, error) {
	given, wrong := o.answers(m)
	values := map[string]string{}
	for _, p := range m.Parameters() {
		v, ok := given[p.Key]
		if !ok {
			var err error
			if v, err = o.fill(p); err != nil {
				return nil, err
			}
		}
		values[p.Key] = v
	}
	if _, ok := given["CONFIG_TROVE_NOVA_PW"]; !ok && values["CONFIG_TROVE_NOVA_USER"] == "trove" {
		values["CONFIG_TROVE_NOVA_PW"] = values["CONFIG_TROVE_KS_PW"]
	}
	data := render(m, o.Preset, values)
	if report := Check(data, m, nil); report.Errors > 0 {
		wrong = append(wrong, report.Findings...)
	}
	if len(wrong) > 0 {
		return nil, &lint.Rejected{Findings: wrong}
	}
	return data, nil
}

// answers are those of the preset and of Set, and what is wrong with those that cannot be written at all.
func (o Options) answers(m *Model) (map[string]string, []lint.Finding) {
	given := map[string]string{}
	if o.Preset != nil {
		given = o.Preset.Answers()
	}
	var log lint.Log
	m.take(&log, given, o.Set)
	return given, log.Findings()
}

// take puts the answers of set into values by the names of their parameters, and notes those that cannot be written.
func (m *Model) take(log *lint.Log, values, set map[string]string) {
	for _, k := range slices.Sorted(maps.Keys(set)) {
		p := m.resolve(log, k)
		if strings.ContainsAny(set[k], "\r\n") {
			log.Errorf(0, "bad-value", k, "%s: a value has one line", k)
		} else if p != nil {
			values[p.Key] = set[k]
		}
	}
}

// resolve finds the parameter that key names, or notes why there is none.
func (m *Model) resolve(log *lint.Log, key string) *Parameter {
	key = strings.ToUpper(strings.TrimSpace(key))
	if p, ok := m.Parameter(key); ok {
		return p
	}
	if p, ok := m.byOld[key]; ok {
		log.Errorf(0, "deprecated", key, "%s is an old name of %s", key, p.Key).Hintf("write %s", p.Key)
		return nil
	}
	finding := log.Errorf(0, "unknown-key", key, "%s is no parameter of packstack %s", key, m.Release)
	if near, ok := lint.Nearest(key, m.keys()); ok {
		finding.Hintf("did you mean %s?", near)
	}
	return nil
}

// fill makes the value of a parameter that nobody gave.
func (o Options) fill(p *Parameter) (string, error) {
	address, hostname := o.Address, o.Hostname
	if address == "" {
		address = "127.0.0.1"
	}
	if hostname == "" {
		hostname = "localhost"
	}
	switch p.Kind {
	case HostIP:
		return address, nil
	case Hostname:
		return hostname, nil
	case AdminAtHost:
		return "admin@" + hostname, nil
	case LDAPAtHostIP:
		return "ldap://" + address, nil
	}
	if p.Kind.Generated() {
		return generate(p, o.Random)
	}
	return p.Default, nil
}

// generate makes a secret. Heat wants its key to be 32 characters long, and packstack wants it not to be a number.
func generate(p *Parameter, random io.Reader) (string, error) {
	for {
		length := 24
		if p.Kind == Hex16 || p.Kind == Hex32 {
			length = 32
		}
		v, err := secret.New(random, length)
		if err != nil {
			return "", fmt.Errorf("cannot make %s: %w", p.Key, err)
		}
		if !floaty(v) {
			return v, nil
		}
	}
}

// render writes the file.
func render(m *Model, preset *Preset, values map[string]string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Answers for packstack %s.\n", m.Release)
	if preset != nil {
		fmt.Fprintf(&b, "# Preset %s: %s.\n", preset.Name, preset.Short)
	}
	b.WriteString("# The passwords are random. Packstack deletes this file and writes it anew without these comments.\n")
	fmt.Fprintf(&b, "\n[%s]\n", Section)
	for _, g := range m.Groups {
		fmt.Fprintf(&b, "\n# %s", g.Name)
		if g.Condition != "" {
			fmt.Fprintf(&b, ": read only when %s", g.when)
		}
		b.WriteString("\n")
		for _, p := range g.Parameters {
			if len(p.Options) > 0 && !slices.Contains(p.Options, "y") && !slices.Contains(p.Validators, "regexp") {
				fmt.Fprintf(&b, "# one%s of: %s\n", map[bool]string{true: " or more"}[p.Multi], strings.Join(p.Options, " "))
			}
			fmt.Fprintf(&b, "%s=%s\n", p.Key, values[p.Key])
		}
	}
	return []byte(b.String())
}

// Edit says what Set changes.
type Edit struct {
	Set      map[string]string // new values by key
	Generate []string          // keys that get a new random secret
	Delete   []string          // keys that are taken out
	Random   io.Reader         // crypto/rand.Reader
}

// Set returns data with the edit done: comments, order and everything else stay, every changed key stands there once, and
// older names of it are gone. A file that does not parse and a new value that Check calls an error are refused.
func Set(data []byte, m *Model, e Edit) ([]byte, error) {
	values, wrong, err := e.resolve(m)
	if err != nil {
		return nil, err
	}
	gone := slices.Clone(e.Delete) // any key may be taken out, above all those that packstack does not know
	f := pyconf.Parse(data, pyconf.Lower)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if s, ok := f.Get(Section, key); ok && len(s.More) > 0 {
			return nil, fmt.Errorf("cannot set %s: line %d is indented and would be lost with the old value", key, s.More[0])
		}
		if f, err = f.Set(Section, key, values[key]); err != nil {
			return nil, err
		}
		p, _ := m.Parameter(key)
		gone = append(gone, p.Replaces...)
	}
	for _, key := range gone {
		if f, err = f.Delete(Section, key); err != nil {
			return nil, err
		}
	}
	if wrong = append(wrong, bad(f.Bytes(), m, values)...); len(wrong) > 0 {
		return nil, &lint.Rejected{Findings: wrong}
	}
	return f.Bytes(), nil
}

// resolve makes the secrets, and finds what is wrong with the edit itself.
func (e Edit) resolve(m *Model) (values map[string]string, wrong []lint.Finding, err error) {
	var log lint.Log
	values = map[string]string{}
	m.take(&log, values, e.Set)
	for _, k := range e.Generate {
		p := m.resolve(&log, k)
		switch {
		case p == nil:
		case !p.Secret:
			log.Errorf(0, "not-secret", k, "%s is no secret", p.Key)
		default:
			if values[p.Key], err = generate(p, e.Random); err != nil {
				return nil, nil, err
			}
		}
	}
	return values, log.Findings(), nil
}

// bad returns the errors that Check finds at the keys that were set.
func bad(data []byte, m *Model, values map[string]string) []lint.Finding {
	var bad []lint.Finding
	for _, f := range Check(data, m, nil).Findings {
		if _, changed := values[strings.ToUpper(f.Key)]; changed && f.Severity == lint.Error {
			bad = append(bad, f)
		}
	}
	return bad
}
