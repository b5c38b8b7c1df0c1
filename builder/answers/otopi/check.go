package otopi

import (
	"regexp"
	"slices"
	"strings"

	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/pyconf"
)

// Section is where answers stand.
const Section = "environment:default"

// sections lists what otopi reads, in the order of their weight: later ones win.
func sections() []string {
	return []string{Section, "environment:init", "environment:override", "environment:enforce"}
}

var (
	keyPattern      = regexp.MustCompile(`^((?:OVESETUP|OVEHOSTED|OSETUP|OTOPI|QUESTION|CORE|BASE|DIALOG|SYSTEM|NETWORK|PACKAGER)[A-Z_]*/[A-Za-z0-9_/.-]+)\s*[=:]`)
	questionPattern = regexp.MustCompile(`^QUESTION/[1-9][0-9]*/[A-Z0-9_.-]+$`)
	inlinePattern   = regexp.MustCompile(`\s[#;]`)
)

// Check finds every mistake in an answer file.
func Check(data []byte, m *Model) *lint.Report {
	c := &checker{m: m, f: pyconf.Parse(data, pyconf.Exact), set: map[string]answer{}}
	lint.Structure(&c.Log, c.f, c.dialect())
	for _, s := range c.f.Settings {
		c.setting(s)
	}
	c.together()
	return lint.NewReport(m.Kind, m.Release, &c.Log)
}

// dialect: otopi of 4.x catches every error of the parser and goes on without the file. That of 3.4 ran on Python 2, whose
// parser lets the last of two keys win and raises the rest.
func (c *checker) dialect() lint.Dialect {
	d := lint.Dialect{Sections: sections(), KeyIn: func(line string) (string, bool) {
		if g := keyPattern.FindStringSubmatch(line); g != nil {
			return g[1], true
		}
		return "", false
	}}
	if c.m.Release == "3.4" {
		d.Refuses, d.Twice = c.m.Kind+" stops", "the last one wins without a word"
		return d
	}
	d.Refuses = c.m.Kind + " leaves out the whole file and says so only in its debug log"
	d.Twice = d.Refuses
	return d
}

type checker struct {
	lint.Log
	m   *Model
	f   *pyconf.File
	set map[string]answer // by key, the one that counts
}

type answer struct {
	Value
	line    int
	section string
	ok      bool // parsed, and free of errors
}

// setting checks one line, and remembers its answer.
func (c *checker) setting(s pyconf.Setting) {
	if !slices.Contains(sections(), s.Section) && s.Section != pyconf.DefaultSection && s.Section != "" {
		if near, ok := lint.Nearest(s.Section, sections()); !ok || near == "" {
			c.Errorf(s.Line, "unread-key", s.Name, "%s stands in section [%s], where otopi does not look", s.Name, s.Section).
				Hintf("move it to [%s]", Section)
			return
		}
	}
	if before, twice := c.set[s.Name]; twice && before.section != s.Section {
		c.Warnf(s.Line, "overridden", s.Name, "%s stands in [%s] (line %d) and in [%s]: the answer depends on the stage", s.Name, before.section, before.line, s.Section)
	}
	value, _, more := strings.Cut(s.Value, "\n")
	if more && strings.HasPrefix(s.Value, MultiStr+":") {
		value = s.Value
	} else if more {
		c.continued(s)
	}
	v, ok := c.value(s, value)
	key, known := c.known(s)
	if ok && known {
		ok = c.fits(s, key, v)
	}
	c.set[s.Name] = answer{v, s.Line, s.Section, ok}
}

// continued reports indented lines that are no setting; those that are have a finding of their own.
func (c *checker) continued(s pyconf.Setting) {
	for _, n := range s.More {
		line := strings.TrimSpace(c.f.Lines[n-1].Text)
		if !keyPattern.MatchString(line) && !strings.HasPrefix(line, "[") {
			c.Errorf(n, "continuation", s.Name, "the line is indented, so it becomes part of the value of %s (line %d), which is no multi-str", s.Name, s.Line)
		}
	}
}

// value reads type:value.
func (c *checker) value(s pyconf.Setting, text string) (Value, bool) {
	v, err := ParseValue(text)
	switch {
	case err == nil:
		return v, c.plain(s, v)
	case !strings.Contains(text, ":"):
		c.Errorf(s.Line, "no-type", s.Name, "%s: the type is missing in front of the value, and setup stops", s.Name).
			Hintf("write %s=str:..., bool:True, bool:False, int:..., or none:None", s.Name)
	case v.Type == Int:
		c.Errorf(s.Line, "bad-int", s.Name, "%s: the value of an int is not a whole number, and setup stops", s.Name)
	case meant(v.Type) == strings.TrimSpace(v.Type):
		c.Errorf(s.Line, "type-blank", s.Name, "%s: a blank stands between the type and the colon, and setup stops", s.Name)
	case meant(v.Type) != "":
		c.Errorf(s.Line, "bad-type", s.Name, "%s: there is no type of that name, and setup stops", s.Name).Hintf("write %s:", meant(v.Type))
	default:
		c.Errorf(s.Line, "no-type", s.Name, "%s: what stands in front of the first colon is no type, and setup stops", s.Name).
			Hintf("write str: in front of the value")
	}
	return v, false
}

// plain reports how a value is written: quotes, comments, and bools that read as something else than they look like.
func (c *checker) plain(s pyconf.Setting, v Value) bool {
	switch {
	case quoted(v.Text):
		c.Errorf(s.Line, "quoted", s.Name, "%s: the quotes become part of the value", s.Name)
	case v.Type != MultiStr && inlinePattern.MatchString(v.Text):
		c.Errorf(s.Line, "inline-comment", s.Name, "%s: what looks like a comment behind the value is part of it", s.Name)
	case v.Type == Bool:
		return c.bool(s, v)
	case v.Type == None && v.Text != "" && v.Text != "None":
		c.Warnf(s.Line, "none-value", s.Name, "%s: the type is none, so what stands behind it is ignored", s.Name)
		return true
	case c.m.Release == "3.4" && strings.Contains(v.Text, "%("):
		c.Errorf(s.Line, "interpolation", s.Name, "%s: the parser of 3.4 replaces %%(...), and stops here", s.Name)
	default:
		return true
	}
	return false
}

// bool: otopi compares the text with the number 0 and the words f, F, false and False; everything else is true.
func (c *checker) bool(s pyconf.Setting, v Value) bool {
	switch {
	case !v.Truth() || slices.Contains([]string{"True", "true", "t", "T"}, v.Text):
		return true
	case v.Text == "0":
		c.Errorf(s.Line, "bool-zero", s.Name, "%s: bool:0 reads as True", s.Name).Hintf("write bool:False")
	case v.Text == "":
		c.Errorf(s.Line, "bool-empty", s.Name, "%s: an empty bool reads as True", s.Name).Hintf("write bool:True or bool:False")
	case slices.Contains([]string{"no", "n", "off", "none", "false", "disabled"}, strings.ToLower(v.Text)):
		c.Errorf(s.Line, "bool-false", s.Name, "%s: bool:%s reads as True", s.Name, v.Text).Hintf("write bool:False")
	case slices.Contains([]string{"1", "yes", "y", "on", "true"}, strings.ToLower(v.Text)):
		c.Warnf(s.Line, "bool-true", s.Name, "%s: bool:%s reads as True only because every unknown word does", s.Name, v.Text).Hintf("write bool:True")
		return true
	default:
		c.Errorf(s.Line, "bool-word", s.Name, "%s: the value is neither True nor False, and reads as True", s.Name)
	}
	return false
}

// known reports keys that this installer does not read.
func (c *checker) known(s pyconf.Setting) (*Key, bool) {
	key, here := c.m.Key(s.Name)
	switch {
	case here:
		return key, true
	case key != nil:
		c.elsewhere(s, key)
	case strings.HasPrefix(s.Name, "QUESTION/"):
		if !questionPattern.MatchString(s.Name) {
			c.Errorf(s.Line, "bad-question", s.Name, "%s: the answer to a question is QUESTION/<number>/<NAME>", s.Name)
		}
	case family(s.Name):
	default:
		c.unknown(s)
	}
	return nil, false
}

// elsewhere: the key is real, and this installer does not read it.
func (c *checker) elsewhere(s pyconf.Setting, key *Key) {
	other := strings.Split(key.Eras[len(key.Eras)-1], "-")
	mine, _, _ := strings.Cut(c.m.era, "-")
	switch {
	case !slices.ContainsFunc(key.Eras, func(e string) bool { return strings.HasPrefix(e, mine) }):
		c.Errorf(s.Line, "other-installer", s.Name, "%s is read by %s, not by %s", s.Name,
			map[string]string{"engine": EngineSetup, "hosted": HostedEngine}[other[0]], c.m.Kind)
	case other[1] < c.m.Release:
		f := c.Warnf(s.Line, "removed-key", s.Name, "%s was read by %s %s, and %s ignores it", s.Name, c.m.Kind, other[1], c.m.Release)
		if s.Name == "OVESETUP_SYSTEM/nfsConfigEnabled" || strings.Contains(s.Name, "isoDomain") {
			f.Hintf("there is no ISO domain any more: upload images to a data domain")
		}
	default:
		c.Warnf(s.Line, "later-key", s.Name, "%s is read by %s %s, and %s does not know it yet", s.Name, c.m.Kind, other[1], c.m.Release)
	}
}

func (c *checker) unknown(s pyconf.Setting) {
	names := c.m.names()
	i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, s.Name) })
	if i >= 0 {
		c.Errorf(s.Line, "key-case", s.Name, "%s is written in another case, and otopi's keys are case-sensitive: it is ignored", s.Name).
			Hintf("write %s", names[i])
		return
	}
	f := c.Errorf(s.Line, "unknown-key", s.Name, "%s is no key of %s %s: it is ignored without a word", s.Name, c.m.Kind, c.m.Release)
	if near, ok := lint.Nearest(s.Name, names); ok {
		f.Hintf("did you mean %s?", near)
	}
}

// fits checks an answer against what its key takes.
func (c *checker) fits(s pyconf.Setting, key *Key, v Value) bool {
	switch {
	case v.Type == None:
		return true
	case key.Types != nil && !slices.Contains(key.Types, v.Type):
		f := c.Errorf(s.Line, "wrong-type", s.Name, "%s is of type %s, not %s", s.Name, strings.Join(key.Types, " or "), v.Type)
		if slices.Contains(key.Types, Bool) && v.Type == Str {
			f.Message += ": every text is true, also False"
		}
	case v.Text == "" && key.Secret:
		c.Errorf(s.Line, "empty-password", s.Name, "%s: the password is empty", s.Name)
	case v.Text == "" && (key.Form != "" || key.Values != nil):
		c.Errorf(s.Line, "empty", s.Name, "%s: the value is empty", s.Name).Hintf("write none:None to be asked")
	case key.Values != nil && !slices.Contains(key.Values, v.Text):
		c.choice(s, key, v)
	default:
		bad := badForm(key.Form, v.Text)
		if bad != "" {
			c.Errorf(s.Line, "bad-"+key.Form, s.Name, "%s: %s", s.Name, bad)
		}
		return bad == ""
	}
	return false
}

func (c *checker) choice(s pyconf.Setting, key *Key, v Value) {
	if i := slices.IndexFunc(key.Values, func(x string) bool { return strings.EqualFold(x, v.Text) }); i >= 0 {
		c.Errorf(s.Line, "value-case", s.Name, "%s: the dialog takes any case, the file only %s", s.Name, key.Values[i])
		return
	}
	c.Errorf(s.Line, "bad-value", s.Name, "%s: the value is not one of %s", s.Name, strings.Join(key.Values, ", "))
}
