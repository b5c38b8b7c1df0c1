// Package otopi knows the answer files of otopi's installers: engine-setup, engine-rename and hosted-engine, of the oVirt
// eras 3.4 and 4.5.
//
// They are configparser files with sections [environment:default] (answers), [environment:init], [environment:override] and
// [environment:enforce], and lines KEY=type:value. The type is not decoration: str:False is true, bool:0 is true (otopi
// compares the text with the number 0), and a file that does not parse is, from 4.x on, left out with a line in the debug
// log only, so that the setup runs with other answers than those in the file.
package otopi

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Kinds of answer files, as in reports.
const (
	EngineSetup  = "engine-setup"
	HostedEngine = "hosted-engine"
)

// Releases lists the eras, oldest first.
func Releases() []string { return []string{"3.4", "4.5"} }

// A Key is one name that an installer reads from its answers.
type Key struct {
	Name   string
	Types  []string // bool, int, str, multi-str; nil for any
	Eras   []string // "engine-3.4", "hosted-4.5", ..., or "otopi"
	Secret bool
	Form   string   // what a value looks like beyond its type, "" for anything
	Values []string // allowed values, nil for any
}

//go:embed keys.tsv
var keysTSV string

// keys reads the embedded table once. It holds what no run changes.
var keys = sync.OnceValues(func() (map[string]*Key, error) { return load(keysTSV) })

func load(table string) (map[string]*Key, error) {
	out := map[string]*Key{}
	for n, line := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 6 || out[f[0]] != nil {
			return nil, fmt.Errorf("cannot read the otopi keys: line %d has %d columns, or a key that stands twice", n+1, len(f))
		}
		k := &Key{Name: f[0], Eras: strings.Fields(f[2]), Secret: f[3] == "secret"}
		if f[1] != "any" {
			k.Types = strings.Split(f[1], ",")
		}
		if f[4] != "-" {
			k.Form = f[4]
		}
		if f[5] != "-" {
			k.Values = strings.Fields(f[5])
		}
		out[k.Name] = k
	}
	return out, nil
}

// A Model is what one installer of one era reads.
type Model struct {
	Kind    string // EngineSetup or HostedEngine
	Release string // of Releases
	era     string // "engine-3.4"
	all     map[string]*Key
}

// ModelFor returns the keys of an installer.
func ModelFor(kind, release string) (*Model, error) {
	if !slices.Contains(Releases(), release) {
		return nil, fmt.Errorf("cannot use oVirt release %q: known are %s", release, strings.Join(Releases(), ", "))
	}
	prefix, ok := map[string]string{EngineSetup: "engine-", HostedEngine: "hosted-"}[kind]
	if !ok {
		return nil, fmt.Errorf("cannot use installer %q: known are %s, %s", kind, EngineSetup, HostedEngine)
	}
	all, err := keys()
	if err != nil {
		return nil, err
	}
	return &Model{Kind: kind, Release: release, era: prefix + release, all: all}, nil
}

// Key returns the key of this name, known to this installer or to another one.
func (m *Model) Key(name string) (key *Key, here bool) {
	key = m.all[name]
	return key, key != nil && (slices.Contains(key.Eras, m.era) || slices.Contains(key.Eras, "otopi"))
}

// names lists what this installer knows, for suggestions.
func (m *Model) names() []string {
	var out []string
	for name := range m.all {
		if _, here := m.Key(name); here {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Secret reports whether the value of a key must not be shown; a key that nobody knows is judged by its name.
func (m *Model) Secret(name string) bool {
	if k := m.all[name]; k != nil {
		return k.Secret
	}
	low := strings.ToLower(name)
	return strings.Contains(low, "pass") || strings.Contains(low, "pwd") || strings.Contains(low, "secret") || strings.Contains(low, "key")
}

// family reports whether the key belongs to a package of its own (DWH, Grafana, Reports), whose keys are not listed, or is
// one of the names that otopi makes up: a question, or a modified file group.
func family(name string) bool {
	for _, prefix := range []string{
		"OVESETUP_DWH_", "OVESETUP_GRAFANA_", "OVESETUP_REPORTS_", "OVESETUP_CORE_MODIFIED_FILE_GROUP/", "OVESETUP_CORE_MODIFIED_LINES_GROUP/",
		"NETWORK_FIREWALLD_SERVICE/", "COMMAND/",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
