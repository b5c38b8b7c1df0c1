package packstack

import (
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/answers/lint"
	"goldsmith/builder/answers/pyconf"
)

var update = flag.Bool("update", false, "write the golden files anew")

// dice are not random: the golden files must not change.
func dice() io.Reader { return rand.NewChaCha8([32]byte{'d', 'i', 'c', 'e'}) }

func cloneAIO(t testing.TB) *Preset {
	t.Helper()
	p, err := PresetFor("clone-aio", "ens192")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewGolden(t *testing.T) {
	for _, release := range Releases() {
		t.Run(release, func(t *testing.T) {
			got, err := New(model(t, release), Options{Preset: cloneAIO(t), Random: dice()})
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "clone-aio-"+release+".txt")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got); write anew with -update:\n%s", path, diff)
			}
		})
	}
}

func TestNewIsCompleteAndClean(t *testing.T) {
	for _, release := range Releases() {
		for _, preset := range []*Preset{nil, cloneAIO(t)} {
			m := model(t, release)
			data, err := New(m, Options{Preset: preset, Random: dice()})
			if err != nil {
				t.Fatal(err)
			}
			f := pyconf.Parse(data, pyconf.Exact)
			if len(f.Faults) > 0 || len(f.Settings) != len(m.Parameters()) {
				t.Errorf("%s: %d settings, faults %v, want each of %d keys once", release, len(f.Settings), f.Faults, len(m.Parameters()))
			}
			report := Check(data, m, preset)
			if report.Errors > 0 || preset != nil && report.Warnings > 0 {
				t.Errorf("%s: its own check finds %q", release, found(report))
			}
			if _, r, ok := lint.ASCII(strings.ReplaceAll(string(data), "\n", "")); !ok {
				t.Errorf("%s: U+%04X in the file", release, r)
			}
		}
	}
}

func TestNewMakesEverySecretAnother(t *testing.T) {
	m := model(t, "17.0.0")
	data, err := New(m, Options{Random: dice()})
	if err != nil {
		t.Fatal(err)
	}
	f := pyconf.Parse(data, pyconf.Exact)
	plain := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{23,31}$`)
	seen := map[string]string{}
	for _, p := range m.Parameters() {
		if !p.Kind.Generated() {
			continue
		}
		s, _ := f.Get(Section, p.Key)
		if !plain.MatchString(s.Value) || floaty(s.Value) {
			t.Errorf("%s is not a plain secret", p.Key)
		}
		if other := seen[s.Value]; other != "" {
			t.Errorf("%s and %s are the same", p.Key, other)
		}
		seen[s.Value] = p.Key
	}
	ks, _ := f.Get(Section, "CONFIG_TROVE_KS_PW")
	nova, _ := f.Get(Section, "CONFIG_TROVE_NOVA_PW")
	if ks.Value != nova.Value {
		t.Error("CONFIG_TROVE_NOVA_PW is not CONFIG_TROVE_KS_PW, as it is for the user trove")
	}
}

func TestNewTakesAnswers(t *testing.T) {
	data, err := New(model(t, "17.0.0"), Options{
		Preset: cloneAIO(t), Address: "192.0.2.7", Hostname: "cloud.example.net", Random: dice(),
		Set: map[string]string{"CONFIG_HEAT_INSTALL": "y", "config_redis_host": "192.0.2.9", "CONFIG_MARIADB_PW": "chosen"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := pyconf.Parse(data, pyconf.Exact)
	for key, want := range map[string]string{
		"CONFIG_HEAT_INSTALL": "y", "CONFIG_REDIS_HOST": "192.0.2.9", "CONFIG_MARIADB_PW": "chosen", "CONFIG_STORAGE_HOST": "192.0.2.7",
		"CONFIG_CONTROLLER_HOST": "127.0.0.1", "CONFIG_SSL_CERT_SUBJECT_CN": "cloud.example.net", "CONFIG_KEYSTONE_LDAP_URL": "ldap://192.0.2.7",
	} {
		if s, _ := f.Get(Section, key); s.Value != want {
			t.Errorf("%s = %q, want %q", key, s.Value, want)
		}
	}
}

func TestNewRefusesAllBadAnswersAtOnce(t *testing.T) {
	m := model(t, "17.0.0")
	_, err := New(m, Options{Random: dice(), Set: map[string]string{"CONFIG_NOVA_FOO": "1", "CONFIG_MYSQL_PW": "x", "CONFIG_KEYSTONE_REGION": "a\nb"}})
	want := "CONFIG_KEYSTONE_REGION: a value has one line\nCONFIG_MYSQL_PW is an old name of CONFIG_MARIADB_PW\nCONFIG_NOVA_FOO is no parameter of packstack 17.0.0"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	_, err = New(m, Options{Random: dice(), Set: map[string]string{"CONFIG_REDIS_PORT": "0", "CONFIG_HEAT_INSTALL": "Y"}})
	var r *lint.Rejected
	if !errors.As(err, &r) || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("error %q, want two lines", err)
	}
	_, err = New(m, Options{Random: dice(), Set: map[string]string{"CONFIG_NOVA_FOO": "1", "CONFIG_REDIS_PORT": "0"}})
	if err == nil || !strings.Contains(err.Error(), "CONFIG_NOVA_FOO is no parameter") || !strings.Contains(err.Error(), "CONFIG_REDIS_PORT") {
		t.Errorf("error %q, want the unknown key and the bad value", err)
	}
}

func TestSetEditsInPlace(t *testing.T) {
	for name, c := range map[string]struct {
		data, want string
		edit       Edit
	}{
		"value": {"# c\n[general]\nCONFIG_PROVISION_DEMO=y\n\n; d\nCONFIG_DEBUG_MODE = n\n", "# c\n[general]\nCONFIG_PROVISION_DEMO=n\n\n; d\nCONFIG_DEBUG_MODE = y\n",
			Edit{Set: map[string]string{"CONFIG_PROVISION_DEMO": "n", "config_debug_mode": "y"}}},
		"new key":    {"[general]\nCONFIG_DEBUG_MODE=n\n# end\n", "[general]\nCONFIG_DEBUG_MODE=n\nCONFIG_PROVISION_DEMO=n\n# end\n", Edit{Set: map[string]string{"CONFIG_PROVISION_DEMO": "n"}}},
		"old name":   {"[general]\nCONFIG_MYSQL_USER=root\n# end\n", "[general]\nCONFIG_MARIADB_USER=admin\n# end\n", Edit{Set: map[string]string{"CONFIG_MARIADB_USER": "admin"}}},
		"duplicates": {"[general]\nCONFIG_DEBUG_MODE=n\n#\nconfig_debug_mode=y\n", "[general]\nCONFIG_DEBUG_MODE=n\n#\n", Edit{Set: map[string]string{"CONFIG_DEBUG_MODE": "n"}}},
		"delete":     {"[general]\nCONFIG_NOVA_FOO=1\nCONFIG_DEBUG_MODE=n\n", "[general]\nCONFIG_DEBUG_MODE=n\n", Edit{Delete: []string{"CONFIG_NOVA_FOO"}}},
		"nothing":    {"[general]\r\nCONFIG_DEBUG_MODE = n\r\n", "[general]\r\nCONFIG_DEBUG_MODE = n\r\n", Edit{Set: map[string]string{"CONFIG_DEBUG_MODE": "n"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Set([]byte(c.data), model(t, "17.0.0"), c.edit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetGenerates(t *testing.T) {
	got, err := Set([]byte("[general]\nCONFIG_MARIADB_PW=PW_PLACEHOLDER\n"), model(t, "17.0.0"), Edit{Generate: []string{"CONFIG_MARIADB_PW"}, Random: dice()})
	if err != nil || !regexp.MustCompile(`^\[general\]\nCONFIG_MARIADB_PW=[A-Za-z0-9]{24}\n$`).Match(got) {
		t.Errorf("Set = %q, %v", got, err)
	}
}

func TestSetRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		edit Edit
		want string
	}{
		"an unknown key": {"[general]\n", Edit{Set: map[string]string{"CONFIG_NOVA_FOO": "1"}}, "CONFIG_NOVA_FOO is no parameter of packstack 17.0.0"},
		"an old name":    {"[general]\n", Edit{Set: map[string]string{"CONFIG_MYSQL_PW": "1"}}, "CONFIG_MYSQL_PW is an old name of CONFIG_MARIADB_PW"},
		"a bad value":    {"[general]\n", Edit{Set: map[string]string{"CONFIG_DEBUG_MODE": "N"}}, `CONFIG_DEBUG_MODE: "N" is not one of y, n (case counts: write n)`},
		"an unknown key and a bad value": {"[general]\n", Edit{Set: map[string]string{"CONFIG_NOVA_FOO": "1", "CONFIG_DEBUG_MODE": "N"}},
			"CONFIG_NOVA_FOO is no parameter of packstack 17.0.0\nCONFIG_DEBUG_MODE: \"N\" is not one of y, n (case counts: write n)"},
		"a secret of no secret":  {"[general]\n", Edit{Generate: []string{"CONFIG_DEBUG_MODE"}}, "CONFIG_DEBUG_MODE is no secret"},
		"a file without section": {"CONFIG_DEBUG_MODE=n\n", Edit{Set: map[string]string{"CONFIG_DEBUG_MODE": "y"}}, "cannot set CONFIG_DEBUG_MODE: line 1: the file does not parse"},
		"to lose a swallowed line": {"[general]\nCONFIG_DEBUG_MODE=n\n  CONFIG_PROVISION_DEMO=n\n", Edit{Set: map[string]string{"CONFIG_DEBUG_MODE": "y"}},
			"cannot set CONFIG_DEBUG_MODE: line 3 is indented and would be lost with the old value"},
		"a value that is a line": {"[general]\n", Edit{Set: map[string]string{"CONFIG_KEYSTONE_REGION": "a\n[b]"}}, "CONFIG_KEYSTONE_REGION: a value has one line"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Set([]byte(c.data), model(t, "17.0.0"), c.edit)
			if err == nil || got != nil {
				t.Fatalf("accepted, and made %q", got)
			}
			if c.want != "" && err.Error() != c.want {
				t.Errorf("error %q, want %q", err, c.want)
			}
		})
	}
}

// FuzzSet: what was set is read back, nothing else moved, and setting twice is setting once.
func FuzzSet(f *testing.F) {
	for _, c := range broken {
		f.Add(c.data, "CONFIG_KEYSTONE_REGION", "RegionTwo")
		f.Add(c.data, "CONFIG_PROVISION_DEMO", "n")
	}
	m := model(f, "17.0.0")
	f.Fuzz(func(t *testing.T, data, key, value string) {
		one, err := Set([]byte(data), m, Edit{Set: map[string]string{key: value}})
		if err != nil {
			return
		}
		if s, ok := pyconf.Parse(one, pyconf.Lower).Get(Section, strings.TrimSpace(key)); !ok || s.Value != value {
			t.Fatalf("set %s=%q, read back %q, %v", key, value, s.Value, ok)
		}
		two, err := Set(one, m, Edit{Set: map[string]string{key: value}})
		if err != nil || string(two) != string(one) {
			t.Fatalf("setting twice: %v\n%q\n%q", err, one, two)
		}
	})
}
