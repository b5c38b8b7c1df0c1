// Package answers writes, checks, edits and compares the answer files of the installers whose clouds goldsmith bakes:
// packstack (OpenStack), engine-setup and hosted-engine (oVirt). An installer reads such a file once, an hour of work hangs on
// it, and what it does not understand it mostly ignores; so the file is checked before the installer sees it.
//
// The kinds live in packages of their own; this one tells them apart and holds what they share with the file system.
package answers

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/otopi"
	"goldsmith/builder/answers/packstack"
	"goldsmith/builder/answers/pyconf"
)

// Kinds lists the kinds of answer files.
func Kinds() []string {
	return []string{packstack.KindName, otopi.EngineSetup, otopi.HostedEngine}
}

// Detect tells the kind of a file by the keys that most of its lines begin with, however broken the rest is. It is "" when
// none is in sight.
func Detect(data []byte) string {
	marks := map[string][]string{
		packstack.KindName: {"[general]", "CONFIG_"},
		otopi.EngineSetup:  {"OVESETUP_", "OSETUP_"},
		otopi.HostedEngine: {"OVEHOSTED_"},
	}
	best, most := "", 0
	for _, kind := range Kinds() {
		n := 0
		for line := range strings.SplitSeq(string(data), "\n") {
			line = strings.ToUpper(strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")))
			if slices.ContainsFunc(marks[kind], func(m string) bool { return strings.HasPrefix(line, strings.ToUpper(m)) }) {
				n++
			}
		}
		if n > most {
			best, most = kind, n
		}
	}
	if best == "" && strings.Contains(string(data), "[environment:") {
		return otopi.EngineSetup
	}
	return best
}

// A Target is an installer of a release, which a file is made for.
type Target struct {
	Kind    string
	Release string
	stack   *packstack.Model // of kind packstack
	engine  *otopi.Model     // of the other kinds
	preset  *packstack.Preset
}

// TargetFor returns the installer of a kind. An empty release is that which the recipes bake: packstack 17.0.0, oVirt 4.5. The
// preset may be nil.
func TargetFor(kind, release string, preset *packstack.Preset) (*Target, error) {
	t := &Target{Kind: kind, Release: release, preset: preset}
	var err error
	switch kind {
	case packstack.KindName:
		if release == "" {
			release = packstack.Releases()[0]
		}
		if t.stack, err = packstack.ModelFor(release); err == nil {
			t.Release = t.stack.Release
		}
	case otopi.EngineSetup, otopi.HostedEngine:
		if preset != nil {
			return nil, fmt.Errorf("cannot use preset %s for %s: it is one of packstack", preset.Name, kind)
		}
		if release == "" {
			t.Release = otopi.Releases()[1]
		}
		t.engine, err = otopi.ModelFor(kind, t.Release)
	default:
		err = fmt.Errorf("cannot use kind %q: known are %s", kind, strings.Join(Kinds(), ", "))
	}
	return t, err
}

// Check finds every mistake in data.
func (t *Target) Check(data []byte) *lint.Report {
	if t.stack != nil {
		return packstack.Check(data, t.stack, t.preset)
	}
	return otopi.Check(data, t.engine)
}

// An Order says what a new file shall hold, in words that fit every kind.
type Order struct {
	Set      map[string]string // answers by key
	Address  string            // of hosts that neither Set nor the preset names (packstack); "" is 127.0.0.1
	Hostname string            // of the machine; the engine's name for engine-setup
	Random   io.Reader         // crypto/rand.Reader
}

// New writes a complete file. Wrong answers are refused as [lint.Rejected].
func (t *Target) New(o Order) ([]byte, error) {
	if t.stack != nil {
		return packstack.New(t.stack, packstack.Options{Preset: t.preset, Set: o.Set, Address: o.Address, Hostname: o.Hostname, Random: o.Random})
	}
	return otopi.New(t.engine, otopi.Options{FQDN: o.Hostname, Set: o.Set, Random: o.Random})
}

// An Edit says what Set changes; values of otopi may come with or without their type.
type Edit struct {
	Set      map[string]string
	Generate []string // keys that get a new random secret
	Delete   []string
	Random   io.Reader // crypto/rand.Reader
}

// Set edits data in place: comments and order stay. Wrong answers are refused as [lint.Rejected].
func (t *Target) Set(data []byte, e Edit) ([]byte, error) {
	if t.stack != nil {
		return packstack.Set(data, t.stack, packstack.Edit(e))
	}
	return otopi.Set(data, t.engine, otopi.Edit(e))
}

// A Change is one key in which two files differ. Secrets are masked.
type Change struct {
	Key string  `json:"key"`
	A   *string `json:"a"` // nil where the key is absent
	B   *string `json:"b"`
}

// Mask stands for a secret.
const Mask = "(secret)"

// Diff compares two files by what they say: order, comments and spacing do not count. A file that does not parse is an error.
func (t *Target) Diff(a, b []byte) ([]Change, error) {
	one, err := t.values(a)
	if err != nil {
		return nil, fmt.Errorf("the first file: %w", err)
	}
	two, err := t.values(b)
	if err != nil {
		return nil, fmt.Errorf("the second file: %w", err)
	}
	var out []Change
	for _, key := range union(one.order, two.order) {
		x, inA := one.values[key]
		y, inB := two.values[key]
		if inA != inB || x != y {
			out = append(out, Change{Key: key, A: t.shown(key, x, inA), B: t.shown(key, y, inB)})
		}
	}
	return out, nil
}

type settings struct {
	order  []string
	values map[string]string
}

func (t *Target) values(data []byte) (*settings, error) {
	fold, home := pyconf.Exact, otopi.Section
	if t.stack != nil {
		fold, home = strings.ToUpper, packstack.Section
	}
	f := pyconf.Parse(data, fold)
	if len(f.Faults) > 0 {
		return nil, fmt.Errorf("line %d: %w", f.Faults[0].Line, pyconf.ErrFaulty)
	}
	s := &settings{values: map[string]string{}}
	for _, x := range f.Settings {
		key := x.Key
		if x.Section != home {
			key = "[" + x.Section + "] " + key
		}
		s.order = append(s.order, key)
		s.values[key] = x.Value
	}
	return s, nil
}

// union is a with what only b has behind it.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, k := range b {
		if !slices.Contains(a, k) {
			out = append(out, k)
		}
	}
	return out
}

func (t *Target) shown(key, value string, there bool) *string {
	if !there {
		return nil
	}
	_, bare, sectioned := strings.Cut(key, "] ")
	if !sectioned {
		bare = key
	}
	if value != "" && (t.stack != nil && t.stack.Secret(bare) || t.engine != nil && t.engine.Secret(bare)) {
		value = Mask
	}
	return &value
}
