package otopi

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/answers/pyconf"
)

func dice() *rand.ChaCha8 { return rand.NewChaCha8([32]byte{'d', 'i', 'c', 'e'}) }

func TestNewIsClean(t *testing.T) {
	for _, release := range Releases() {
		m := modelFor(t, EngineSetup, release)
		data, err := New(m, Options{FQDN: "engine.example.net", Random: dice(), Set: map[string]string{"OVESETUP_DB/port": "5433", "OVESETUP_DB/password": "str:chosen"}})
		if err != nil {
			t.Fatal(err)
		}
		if r := Check(data, m); len(r.Findings) > 0 {
			t.Errorf("%s: %+v", release, r.Findings)
		}
		f := pyconf.Parse(data, pyconf.Exact)
		for key, want := range map[string]string{
			"OVESETUP_CONFIG/fqdn": "str:engine.example.net", "OVESETUP_DB/port": "int:5433", "OVESETUP_DB/password": "str:chosen", "OVESETUP_PKI/organization": "str:example.net",
		} {
			if s, _ := f.Get(Section, key); s.Value != want {
				t.Errorf("%s: %s = %q, want %q", release, key, s.Value, want)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	m := modelFor(t, EngineSetup, "4.5")
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no name":        {Options{}, "OVESETUP_CONFIG/fqdn: the value is empty"},
		"an address":     {Options{FQDN: "192.0.2.1"}, "setup refuses an address"},
		"an unknown key": {Options{FQDN: "a.example.net", Set: map[string]string{"OVESETUP_CONFIG/foo": "str:1"}}, "OVESETUP_CONFIG/foo is no key"},
		"no type":        {Options{FQDN: "a.example.net", Set: map[string]string{"OVESETUP_CONFIG/foo": "1"}}, "the type is missing"},
		"two mistakes":   {Options{FQDN: "a.example.net", Set: map[string]string{"OVESETUP_DB/port": "0", "OVESETUP_DB/secured": "no"}}, "\n"},
	} {
		c.o.Random = dice()
		if data, err := New(m, c.o); err == nil || data != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := New(modelFor(t, HostedEngine, "4.5"), Options{FQDN: "a.example.net", Random: dice()}); err == nil || !strings.Contains(err.Error(), "cannot be cloned") {
		t.Errorf("hosted-engine: error %v, want the reason", err)
	}
}

func TestSetEditsInPlace(t *testing.T) {
	m := modelFor(t, EngineSetup, "4.5")
	data := "# c\n[environment:default]\nOVESETUP_DB/port=int:5432\n\nOVESETUP_REMOVE/removeOptions=multi-str:a\n b\n; d\n"
	got, err := Set([]byte(data), m, Edit{
		Set:      map[string]string{"OVESETUP_DB/port": "5433", "OVESETUP_DB/secured": "bool:False", "OVESETUP_REMOVE/removeOptions": "multi-str:c\nd"},
		Generate: []string{"OVESETUP_DB/password"}, Random: dice(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, _ := pyconf.Parse(got, pyconf.Exact).Get(Section, "OVESETUP_DB/password")
	want := "# c\n[environment:default]\nOVESETUP_DB/port=int:5433\n\nOVESETUP_REMOVE/removeOptions=multi-str:c\n d\nOVESETUP_DB/password=" + s.Value + "\nOVESETUP_DB/secured=bool:False\n; d\n"
	if diff := cmp.Diff(want, string(got)); diff != "" || len(s.Value) != len("str:")+24 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetRefuses(t *testing.T) {
	m := modelFor(t, EngineSetup, "4.5")
	for name, c := range map[string]struct {
		data string
		edit Edit
		want string
	}{
		"bool:0":                   {good, Edit{Set: map[string]string{"OVESETUP_DB/secured": "bool:0"}}, "bool:0 reads as True"},
		"0 for a bool":             {good, Edit{Set: map[string]string{"OVESETUP_DB/secured": "0"}}, "bool:0 reads as True"},
		"a key of hosted-engine":   {good, Edit{Set: map[string]string{"OVEHOSTED_NETWORK/bridgeIf": "str:em1"}}, "is read by hosted-engine"},
		"a secret of no secret":    {good, Edit{Generate: []string{"OVESETUP_DB/port"}}, "no secret of engine-setup 4.5"},
		"a file without a section": {"A=str:1\n", Edit{Set: map[string]string{"OVESETUP_DB/port": "1"}}, "does not parse"},
		"to lose a line":           {good + " OVESETUP_DB/port=int:1\n", Edit{Set: map[string]string{"OVESETUP_DIALOG/confirmSettings": "True"}}, "would be lost"},
	} {
		if got, err := Set([]byte(c.data), m, c.edit); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: made %q, error %v, want one with %q", name, got, err, c.want)
		}
	}
}

// FuzzSet: what was set is read back, and setting twice is setting once.
func FuzzSet(f *testing.F) {
	for _, c := range broken {
		f.Add(c.data, "OVESETUP_PKI/organization", "str:example")
	}
	m := modelFor(f, EngineSetup, "4.5")
	f.Fuzz(func(t *testing.T, data, key, value string) {
		edit := Edit{Set: map[string]string{key: value}}
		one, err := Set([]byte(data), m, edit)
		if err != nil {
			return
		}
		s, ok := pyconf.Parse(one, pyconf.Exact).Get(Section, key)
		if !ok || !strings.HasSuffix(s.Value, value) {
			t.Fatalf("set %s=%q, read back %q, %v", key, value, s.Value, ok)
		}
		if two, err := Set(one, m, edit); err != nil || string(two) != string(one) {
			t.Fatalf("setting twice: %v\n%q\n%q", err, one, two)
		}
	})
}
