package packstack

import (
	"regexp"
	"slices"
	"strings"

	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/pyconf"
)

// KindName is the name of this kind of answer file in reports.
const KindName = "packstack"

// Check finds every mistake in an answer file. With a preset it also says where the file is not what the preset makes.
func Check(data []byte, m *Model, preset *Preset) *lint.Report {
	c := &checker{m: m, f: pyconf.Parse(data, pyconf.Lower), suspect: map[string]bool{}}
	lint.Structure(&c.Log, c.f, dialect())
	c.text()
	c.collect()
	c.keys()
	c.deprecated()
	c.values()
	c.missing()
	c.network()
	c.image()
	if preset != nil {
		c.preset(preset)
	}
	c.moot()
	return lint.NewReport(KindName, m.Release, &c.Log)
}

func dialect() lint.Dialect {
	return lint.Dialect{
		Sections: []string{Section},
		Refuses:  "packstack refuses the file",
		Twice:    "packstack refuses the file",
		KeyIn: func(line string) (string, bool) {
			if g := keyPattern.FindStringSubmatch(line); g != nil {
				return g[1], true
			}
			return "", false
		},
	}
}

var (
	keyPattern    = regexp.MustCompile(`^((?i:CONFIG_|EXCLUDE_SERVERS)[A-Za-z0-9_]*)\s*[=:]`)
	inlinePattern = regexp.MustCompile(`(^|\s)[#;]`)
)

// checker walks over one file.
type checker struct {
	lint.Log
	m       *Model
	f       *pyconf.File
	set     map[string]pyconf.Setting // what the file says, by key as written in the model or by the deprecated name
	order   []pyconf.Setting          // the same in file order, unknown keys included
	suspect map[string]bool           // keys whose value has an error: what depends on them is not reported as well
}

// An answer is the value that packstack ends up with.
type answer struct {
	value   string
	setting pyconf.Setting
	given   bool // in the file, under its own or a deprecated name
}

// text looks at what the form of every line tells without knowing the keys.
func (c *checker) text() {
	comments, first := 0, 0
	for i, line := range c.f.Lines {
		text := strings.TrimPrefix(strings.ReplaceAll(line.Text, "\x00", ""), "\ufeff")
		column, r, ok := lint.ASCII(strings.ToValidUTF8(text, ""))
		switch {
		case ok:
		case r < ' ' || r == 0x7f:
			c.Errorf(i+1, "control-char", "", "a control character (U+%04X) in column %d", r, column)
		case line.Kind == pyconf.Comment:
			if comments++; comments == 1 {
				first = i + 1
			}
		default:
			c.Errorf(i+1, "non-ascii", "", "column %d is not ASCII (U+%04X): packstack stops at it unless the locale is UTF-8", column, r)
		}
	}
	if comments > 0 {
		c.Errorf(first, "non-ascii", "", "%d comment line(s) are not ASCII, the first one here: packstack stops at them unless the locale is UTF-8", comments).
			Hintf("LANG=C.UTF-8 packstack --answer-file=FILE works; plain ASCII works everywhere")
	}
	for _, s := range c.f.Settings {
		for _, n := range s.More {
			line := strings.TrimSpace(c.f.Lines[n-1].Text)
			if !keyPattern.MatchString(line) && !strings.HasPrefix(line, "[") {
				c.Errorf(n, "continuation", s.Name, "the line is indented, so it becomes part of the value of %s (line %d)", s.Name, s.Line)
			}
		}
	}
}

// collect decides which settings count. A file without its section, or with its name misspelled, is read as if it had it, so
// that the mistakes inside are found in the same run.
func (c *checker) collect() {
	c.set = map[string]pyconf.Setting{}
	for _, s := range c.f.Settings {
		near, _ := lint.Nearest(s.Section, []string{Section})
		counts := s.Section == "" || near == Section || s.Section == pyconf.DefaultSection
		if !counts {
			if p, ok := c.m.Parameter(s.Name); ok {
				c.Errorf(s.Line, "unread-key", s.Name, "%s stands in section [%s], where packstack does not look", p.Key, s.Section).
					Hintf("move it to [%s]", Section)
			}
			continue
		}
		c.order = append(c.order, s)
		key := strings.ToUpper(s.Name)
		if have, ok := c.set[key]; !ok || have.Section == pyconf.DefaultSection {
			c.set[key] = s
		}
	}
}

// keys reports keys that packstack does not know.
func (c *checker) keys() {
	for _, s := range c.order {
		key := strings.ToUpper(s.Name)
		_, known := c.m.Parameter(key)
		_, old := c.m.byOld[key]
		switch {
		case (known || old) && key != s.Name:
			c.Warnf(s.Line, "key-case", s.Name, "%s is written in another case: packstack reads it, and writes %s", s.Name, key)
		case known || old:
		case c.m.gone[key] != "":
			c.Warnf(s.Line, "removed-key", s.Name, "%s is no parameter of %s any more: packstack ignores it", s.Name, c.m.Release)
		default:
			c.unknown(s, key)
		}
	}
}

func (c *checker) unknown(s pyconf.Setting, key string) {
	finding := c.Errorf(s.Line, "unknown-key", s.Name, "%s is no parameter of packstack %s: it is ignored without a word", s.Name, c.m.Release)
	words := strings.Fields(key)
	last := words[len(words)-1]
	for _, try := range []string{last, "CONFIG_" + key} {
		if p, ok := c.m.Parameter(try); ok {
			finding.Hintf("write %s", p.Key)
			return
		}
	}
	if near, ok := lint.Nearest(last, c.m.keys()); ok {
		finding.Hintf("did you mean %s?", near)
	}
}

// answer is the value that packstack takes for p: its own key, else a deprecated name with a value, else the default.
func (c *checker) answer(p *Parameter) answer {
	if s, ok := c.set[p.Key]; ok {
		return answer{firstLine(s.Value), s, true}
	}
	for _, old := range p.Replaces {
		if s, ok := c.set[old]; ok && s.Value != "" {
			return answer{firstLine(s.Value), s, true}
		}
	}
	return answer{value: p.Default}
}

// firstLine leaves out what was swallowed: it has a finding of its own, and what was meant is the line of the key.
func firstLine(value string) string {
	line, _, _ := strings.Cut(value, "\n")
	return line
}

// value is the answer to a key, for conditions.
func (c *checker) value(key string) string {
	p, ok := c.m.Parameter(key)
	if !ok {
		return ""
	}
	return c.answer(p).value
}

// deprecated reports old names: alone they still work, beside the new one they are ignored, and against each other they stop
// packstack.
func (c *checker) deprecated() {
	for _, p := range c.m.Parameters() {
		var first *pyconf.Setting
		for _, old := range p.Replaces {
			s, ok := c.set[old]
			if !ok {
				continue
			}
			now, both := c.set[p.Key]
			switch {
			case both && now.Value != s.Value:
				c.Errorf(s.Line, "deprecated-ignored", s.Name, "%s is ignored, because its new name %s is set too (line %d), to another value", s.Name, p.Key, now.Line)
			case s.Value == "":
				c.Warnf(s.Line, "deprecated", s.Name, "%s is an old name of %s, and an empty one is ignored", s.Name, p.Key)
			case first != nil && first.Value != s.Value && !both:
				c.Errorf(s.Line, "deprecated-conflict", s.Name, "%s and %s (line %d) both mean %s and disagree: packstack stops", s.Name, first.Name, first.Line, p.Key)
			default:
				c.Warnf(s.Line, "deprecated", s.Name, "%s is an old name of %s", s.Name, p.Key)
			}
			if first == nil && s.Value != "" {
				first = &s
			}
		}
	}
}

// values looks at every value that the file gives.
func (c *checker) values() {
	for _, p := range c.m.Parameters() {
		a := c.answer(p)
		if !a.given {
			continue
		}
		active := p.Group.when.holds(c.value)
		for _, pr := range c.problems(p, a.value, active) {
			c.suspect[p.Key] = true
			c.Errorf(a.setting.Line, pr.code, a.setting.Name, "%s: %s", a.setting.Name, pr.text)
		}
		c.hiera(p, a)
		if p.Key == "CONFIG_HEAT_AUTH_ENC_KEY" && active && !slices.Contains([]int{0, 16, 24, 32}, len(a.value)) {
			c.Warnf(a.setting.Line, "odd-length", p.Key, "%s: Heat wants a key of 32 characters (16 and 24 still work)", p.Key)
		}
		if active {
			c.placeholder(p, a)
		}
	}
}

// problems lists the errors of one value. How it is written comes first: quotes and comments make every other test moot.
func (c *checker) problems(p *Parameter, value string, active bool) []problem {
	switch {
	case quoted(value) && !slices.Contains(p.Processors, "add_quotes_around_values"):
		return []problem{{"quoted", "the quotes become part of the value"}}
	case inlinePattern.MatchString(value):
		return []problem{{"inline-comment", "what looks like a comment behind the value is part of it"}}
	}
	var out []problem
	if active {
		out = p.masked(p.validate(value))
	}
	if (p.Kind.Generated() || p.Kind == TroveKSPw || p.Key == "CONFIG_DEFAULT_PASSWORD") && unsafe(value) != "" {
		out = append(out, problem{"unsafe-secret", "the password has characters that do not survive URLs, shell lines and hiera: use letters and digits"})
	}
	return out
}

// masked drops the text of problems that may quote a secret.
func (p *Parameter) masked(list []problem) []problem {
	for i := range list {
		if p.Secret && strings.Contains(list[i].text, `"`) {
			list[i].text = "the value is not allowed"
		}
	}
	return list
}

func quoted(v string) bool {
	return len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0]
}

// hiera: packstack hands the answers to puppet in YAML files in which %{...} is replaced.
func (c *checker) hiera(p *Parameter, a answer) {
	if !strings.Contains(a.value, "%{") || a.value == p.Default {
		return
	}
	if p.Secret {
		c.Errorf(a.setting.Line, "interpolation", a.setting.Name, "%s: hiera replaces %%{...} inside the value", a.setting.Name)
		return
	}
	c.Warnf(a.setting.Line, "interpolation", a.setting.Name, "%s: hiera replaces %%{...} inside the value", a.setting.Name)
}

func (c *checker) placeholder(p *Parameter, a answer) {
	shared := c.value("CONFIG_DEFAULT_PASSWORD") != ""
	switch {
	case a.value != Placeholder:
	case p.Kind == TroveKSPw && c.value("CONFIG_TROVE_NOVA_USER") != "trove":
		c.Errorf(a.setting.Line, "placeholder", a.setting.Name, "%s: %s is replaced only for the user trove, here it stays the password", a.setting.Name, Placeholder)
	case p.Kind == TroveKSPw:
	case shared:
		c.Warnf(a.setting.Line, "placeholder", a.setting.Name, "%s: %s becomes CONFIG_DEFAULT_PASSWORD, the same for every service", a.setting.Name, Placeholder)
	default:
		c.Warnf(a.setting.Line, "placeholder", a.setting.Name, "%s: %s is replaced by a password that only the rewritten file will tell", a.setting.Name, Placeholder).
			Hintf("goldsmith answers set --generate %s FILE", p.Key)
	}
}

// missing reports what packstack fills in by itself and should not, and what it cannot fill in.
func (c *checker) missing() {
	var passwords, hosts []string
	for _, p := range c.m.Parameters() {
		if c.answer(p).given || !p.Group.when.holds(c.value) {
			continue
		}
		switch {
		case p.Kind.Generated():
			passwords = append(passwords, p.Key)
		case p.Kind == HostIP:
			hosts = append(hosts, p.Key)
		case p.Kind == "" && len(p.validate(p.Default)) > 0:
			c.Errorf(0, "missing", p.Key, "%s is not set, and has no default (%s)", p.Key, reasons(p.Group.when, c.value))
		}
	}
	if len(passwords) > 0 {
		c.Warnf(0, "missing-password", "", "%d passwords are not set, so packstack invents them: %s", len(passwords), strings.Join(passwords, " "))
	}
	if len(hosts) > 0 {
		c.Warnf(0, "missing-host", "", "%d hosts are not set, so they become the address that this machine has at the time: %s", len(hosts), strings.Join(hosts, " ")).
			Hintf("set them to 127.0.0.1 for an image that will be cloned")
	}
}

// reasons says why a group is read.
func reasons(e expr, value func(string) string) string {
	var out []string
	for _, all := range e {
		for _, t := range all {
			if t.holds(value) {
				out = append(out, t.String())
			}
		}
	}
	if len(out) == 0 {
		return "always read"
	}
	return "read because " + strings.Join(out, " and ")
}

// moot reports answers in groups that packstack skips: it drops them and writes the defaults in their place.
func (c *checker) moot() {
	for _, p := range c.m.Parameters() {
		a := c.answer(p)
		if !a.given || p.Group.when.holds(c.value) || p.Kind != "" && p.Kind != PuppetFact || a.value == p.Default || a.value == Placeholder {
			continue
		}
		var why []string
		for _, t := range p.Group.when.fails(c.value) {
			if c.suspectIn(t) {
				why = nil
				break
			}
			why = append(why, t.String())
		}
		if len(why) > 0 {
			c.Warnf(a.setting.Line, "moot", a.setting.Name, "%s is not read: only when %s", a.setting.Name, strings.Join(why, " and "))
		}
	}
}

func (c *checker) suspectIn(t test) bool { return c.suspect[t.left.key] || c.suspect[t.right.key] }
