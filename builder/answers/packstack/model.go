// Package packstack knows the answer file of packstack: its parameters by release, what packstack makes of a file, every
// mistake that can be found without running it, and how to write a complete file that has none.
//
// Packstack reads the file with Python's configparser, takes the keys it knows from section [general], ignores all others
// without a word, skips whole groups whose condition does not hold, stops at the first bad value, and then deletes the file
// and writes it anew without the user's comments. Check says beforehand what will happen.
package packstack

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Section is the only section that packstack reads.
const Section = "general"

// Placeholder is the value that packstack replaces by a password of its own making.
const Placeholder = "PW_PLACEHOLDER"

// Releases lists the supported releases, oldest first.
func Releases() []string { return []string{"17.0.0", "26.0.0"} }

// A Model is the set of parameters of one release.
type Model struct {
	Release string
	Groups  []*Group // in the order in which packstack reads them
	byKey   map[string]*Parameter
	byOld   map[string]*Parameter // deprecated name to the parameter that replaced it
	gone    map[string]string     // key of another release to the release that dropped it
}

// A Group is read as a whole or not at all.
type Group struct {
	Name       string `json:"name"`
	Order      int    `json:"order"`
	Condition  string `json:"condition"` // "" for always
	Parameters []*Parameter
	when       expr
}

// A Parameter is one key of the answer file.
type Parameter struct {
	Key        string   `json:"key"`
	GroupName  string   `json:"group"`
	Default    string   `json:"default"`
	Kind       Kind     `json:"kind"`
	Options    []string `json:"options"` // allowed values; a pattern where a validator says so
	Validators []string `json:"validators"`
	Processors []string `json:"processors"`
	Multi      bool     `json:"multi"` // comma-separated list
	Secret     bool     `json:"secret"`
	Replaces   []string `json:"replaces"` // deprecated names
	RemovedIn  string   `json:"removed_in"`
	In26       *change  `json:"in_26"`
	Group      *Group   `json:"-"`
}

type change struct {
	Default *string  `json:"default"`
	Options []string `json:"options"`
}

// Kind says where a default comes from.
type Kind string

// The kinds that matter here. A Parameter without one has a fixed default.
const (
	HostIP       Kind = "host_ip"             // the address of the machine that packstack runs on
	Hostname     Kind = "hostname"            // its name
	AdminAtHost  Kind = "admin_at_hostname"   // admin@ its name
	LDAPAtHostIP Kind = "ldap_url_of_host_ip" // ldap:// its address
	Password     Kind = "generated_password"  // PW_PLACEHOLDER, replaced by 16 hex digits
	Hex16        Kind = "generated_hex16"     // 16 hex digits
	Hex32        Kind = "generated_hex32"     // 32 hex digits
	TroveKSPw    Kind = "same_as_trove_ks_pw" // PW_PLACEHOLDER, replaced by another answer
	PuppetFact   Kind = "puppet_fact"         // %{::fact}, filled in by hiera
)

// Generated reports whether packstack invents the value itself.
func (k Kind) Generated() bool { return k == Password || k == Hex16 || k == Hex32 }

//go:embed parameters.json
var parametersJSON []byte

// ModelFor returns the parameters of a release, by its number or its name ("victoria").
func ModelFor(release string) (*Model, error) {
	if strings.EqualFold(release, "victoria") {
		release = Releases()[0]
	}
	i := slices.Index(Releases(), release)
	if i < 0 {
		return nil, fmt.Errorf("cannot use packstack release %q: known are %s", release, strings.Join(Releases(), ", "))
	}
	list, err := models()
	if err != nil {
		return nil, err
	}
	return list[i], nil
}

// models reads the embedded file once. It holds what no run changes.
var models = sync.OnceValues(func() ([]*Model, error) {
	var list []*Model
	for _, r := range Releases() {
		m, err := load(parametersJSON, r)
		if err != nil {
			return nil, fmt.Errorf("cannot read the packstack parameters: %w", err)
		}
		list = append(list, m)
	}
	return list, nil
})

// load reads the parameter file as release sees it.
func load(data []byte, release string) (*Model, error) {
	var file struct {
		Groups     []*Group     `json:"groups"`
		Parameters []*Parameter `json:"parameters"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	m := &Model{Release: release, byKey: map[string]*Parameter{}, byOld: map[string]*Parameter{}, gone: map[string]string{}}
	groups := map[string]*Group{}
	for _, g := range file.Groups {
		when, err := parseExpr(g.Condition)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", g.Name, err)
		}
		g.when = when
		groups[g.Name] = g
	}
	for _, p := range file.Parameters {
		if p.Group = groups[p.GroupName]; p.Group == nil {
			return nil, fmt.Errorf("%s: no group %q", p.Key, p.GroupName)
		}
		m.add(p)
	}
	for _, g := range file.Groups {
		if len(g.Parameters) > 0 {
			m.Groups = append(m.Groups, g)
		}
	}
	slices.SortStableFunc(m.Groups, func(a, b *Group) int { return a.Order - b.Order })
	return m, nil
}

func (m *Model) add(p *Parameter) {
	if p.RemovedIn != "" && p.RemovedIn <= m.Release {
		m.gone[p.Key] = p.RemovedIn
		return
	}
	if p.In26 != nil && m.Release == "26.0.0" {
		if p.In26.Default != nil {
			p.Default = *p.In26.Default
		}
		if p.In26.Options != nil {
			p.Options = p.In26.Options
		}
	}
	m.byKey[p.Key] = p
	for _, old := range p.Replaces {
		m.byOld[old] = p
	}
	p.Group.Parameters = append(p.Group.Parameters, p)
}

// Parameter returns the parameter with this key, in any case.
func (m *Model) Parameter(key string) (*Parameter, bool) {
	p, ok := m.byKey[strings.ToUpper(key)]
	return p, ok
}

// Parameters lists all parameters in the order in which packstack reads them.
func (m *Model) Parameters() []*Parameter {
	var out []*Parameter
	for _, g := range m.Groups {
		out = append(out, g.Parameters...)
	}
	return out
}

// keys lists all current keys, for suggestions.
func (m *Model) keys() []string {
	var out []string
	for _, p := range m.Parameters() {
		out = append(out, p.Key)
	}
	return out
}

// Secret reports whether the value of key must not be shown. A key that nobody knows is judged by its name: it may be a
// password with a typing mistake in front of it.
func (m *Model) Secret(key string) bool {
	if p, ok := m.Parameter(key); ok {
		return p.Secret
	}
	if p, ok := m.byOld[strings.ToUpper(key)]; ok {
		return p.Secret
	}
	for _, word := range []string{"PW", "PASS", "SECRET", "KEY", "TOKEN", "HASH"} {
		if strings.Contains(strings.ToUpper(key), word) {
			return true
		}
	}
	return false
}
