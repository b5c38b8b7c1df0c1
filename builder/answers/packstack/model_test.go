package packstack

import (
	"slices"
	"strings"
	"testing"
)

// TestParametersAreSound reads the embedded file as a reviewer would.
func TestParametersAreSound(t *testing.T) {
	rules := []string{"not_empty", "options", "ssh", "integer", "multi_ssh", "multi_options", "ldap_dn", "port", "float", "storage", "file", "sshkey",
		"neutron", "ip", "writeable_directory", "ldap_url", "multi_export", "multi_ping", "regexp", "storage_size"}
	processors := []string{"password", "bool", "add_quotes_around_values", "ssh_key", "heat", "backend", "string_nofloat", "tempest", "trove_nova_pw"}
	kinds := []Kind{"", HostIP, Hostname, AdminAtHost, LDAPAtHostIP, Password, Hex16, Hex32, TroveKSPw, PuppetFact, "ssh_key"}
	for release, count := range map[string]int{"17.0.0": 312, "26.0.0": 292} {
		m := model(t, release)
		if n := len(m.Parameters()); n != count {
			t.Errorf("%s has %d parameters, want %d", release, n, count)
		}
		for _, p := range m.Parameters() {
			for _, v := range p.Validators {
				if !slices.Contains(rules, v) {
					t.Errorf("%s: validator %q is not known here", p.Key, v)
				}
			}
			for _, v := range p.Processors {
				if !slices.Contains(processors, v) {
					t.Errorf("%s: processor %q is not known here", p.Key, v)
				}
			}
			if !slices.Contains(kinds, p.Kind) {
				t.Errorf("%s: kind %q is not known here", p.Key, p.Kind)
			}
			if p.Kind.Generated() != (p.Kind == Password && p.Default == Placeholder || p.Kind == Hex16 || p.Kind == Hex32) || p.Kind.Generated() && !p.Secret {
				t.Errorf("%s: a generated value must be a secret with the placeholder for a default", p.Key)
			}
			if p.Default != "" && p.Kind == "" && len(p.validate(p.Default)) > 0 {
				t.Errorf("%s: its own default %q is refused: %v", p.Key, p.Default, p.validate(p.Default))
			}
			for _, old := range p.Replaces {
				if _, both := m.Parameter(old); both {
					t.Errorf("%s is a key and an old name of %s", old, p.Key)
				}
			}
		}
		for _, g := range m.Groups {
			for _, all := range g.when {
				for _, test := range all {
					for _, key := range []string{test.left.key, test.right.key} {
						if _, ok := m.Parameter(key); key != "" && !ok && m.gone[key] == "" {
							t.Errorf("group %s depends on %s, which is no parameter", g.Name, key)
						}
					}
				}
			}
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, data := range map[string]string{
		"no JSON":         `{`,
		"a missing group": `{"parameters": [{"key": "CONFIG_A", "group": "G"}]}`,
		"a bad condition": `{"groups": [{"name": "G", "condition": "CONFIG_A = 'y'"}]}`,
	} {
		if _, err := load([]byte(data), "17.0.0"); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestConditions(t *testing.T) {
	values := map[string]string{"CONFIG_A": "y", "CONFIG_B": "lvm,nfs", "CONFIG_C": ""}
	for text, want := range map[string]struct {
		holds bool
		says  string
	}{
		"":                                    {true, ""},
		"CONFIG_A == 'y'":                     {true, "CONFIG_A=y"},
		"CONFIG_A=='n'":                       {false, "CONFIG_A=n"},
		"CONFIG_A != 'n'":                     {true, "CONFIG_A is not n"},
		"CONFIG_C != ''":                      {false, "CONFIG_C is set"},
		"'nfs' in CONFIG_B":                   {true, "CONFIG_B has nfs"},
		"'net' in CONFIG_B":                   {false, "CONFIG_B has net"},
		"CONFIG_A in ('x','y')":               {true, "CONFIG_A is one of x, y"},
		"CONFIG_A in ('x', 'z')":              {false, "CONFIG_A is one of x, z"},
		"CONFIG_A == 'y' and CONFIG_C == 'y'": {false, "CONFIG_A=y and CONFIG_C=y"},
		"CONFIG_C == 'y' or CONFIG_A == 'y'":  {true, "CONFIG_C=y or CONFIG_A=y"},
		"CONFIG_C == 'y' or CONFIG_A == 'y' and CONFIG_C == ''": {true, "CONFIG_C=y or CONFIG_A=y and CONFIG_C="},
	} {
		e, err := parseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := e.holds(func(k string) string { return values[k] }); got != want.holds {
			t.Errorf("%s = %v, want %v", text, got, want.holds)
		}
		if e.String() != want.says {
			t.Errorf("%s says %q, want %q", text, e.String(), want.says)
		}
	}
}

func TestConditionsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"CONFIG_A", "CONFIG_A =", "CONFIG_A = 'y'", "CONFIG_A == ", "CONFIG_A == y", "CONFIG_A == 'y", "CONFIG_A == 'y' and", "or CONFIG_A == 'y'",
		"CONFIG_A in ('y'", "CONFIG_A in ('y' 'n')", "CONFIG_A == 'y' CONFIG_B == 'y'", "(CONFIG_A == 'y')", "!",
	} {
		if e, err := parseExpr(text); err == nil {
			t.Errorf("%q was read as %v", text, e)
		} else if !strings.Contains(err.Error(), "cannot read condition") {
			t.Errorf("%q: error %q does not say what it is about", text, err)
		}
	}
}

// FuzzCondition: no panic, no endless loop, and what was read says the same when read again.
func FuzzCondition(f *testing.F) {
	for _, g := range model(f, "17.0.0").Groups {
		f.Add(g.Condition)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseExpr(text)
		if err == nil && len(e) == 0 && text != "" {
			t.Fatalf("%q was read as nothing", text)
		}
	})
}

func TestHost(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "node1": true, "node1.example.net": true, "1node": true, "10.0.0.256": false, "10.0.0": false, "": false,
		"a_b": false, "-a": false, "a-": false, "a..b": false, "a b": false, "http://a": false, strings.Repeat("a", 64): false,
	} {
		if got := Host(text); got != want {
			t.Errorf("Host(%q) = %v, want %v", text, got, want)
		}
	}
}
