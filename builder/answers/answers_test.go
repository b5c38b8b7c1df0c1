package answers

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/answers/otopi"
	"goldsmith/builder/answers/packstack"
)

func TestDetect(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"packstack":            {"[general]\nCONFIG_DEBUG_MODE=n\n", packstack.KindName},
		"no header":            {"CONFIG_DEBUG_MODE=n\n", packstack.KindName},
		"byte order mark":      {"\ufeff[general]\n", packstack.KindName},
		"wrong header":         {"[General]\n", packstack.KindName},
		"lower case":           {"[x]\nconfig_debug_mode=n\n", packstack.KindName},
		"indented":             {"[x]\n CONFIG_DEBUG_MODE=n\n", packstack.KindName},
		"engine-setup":         {"[environment:default]\nOVESETUP_DB/port=int:1\n", otopi.EngineSetup},
		"rename":               {"OSETUP_RENAME/fqdn=str:a.b\n", otopi.EngineSetup},
		"hosted-engine":        {"[environment:default]\nOVEHOSTED_VM/vmBoot=str:pxe\nOVEHOSTED_VM/vmVCpus=int:2\nOVESETUP_DB/port=int:1\n", otopi.HostedEngine},
		"only the section":     {"[environment:default]\n", otopi.EngineSetup},
		"something else":       {"root:x:0:0::/root:/bin/sh\n", ""},
		"nothing":              {"", ""},
		"a comment about them": {"# CONFIG_ and OVESETUP_\n", ""},
	} {
		if got := Detect([]byte(c.data)); got != c.want {
			t.Errorf("%s: Detect = %q, want %q", name, got, c.want)
		}
	}
}

func TestTargetForRefuses(t *testing.T) {
	preset, err := packstack.PresetFor("clone-aio", "eth0")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, release string
		preset        *packstack.Preset
		want          string
	}{
		"an unknown kind":      {"devstack", "", nil, "known are packstack, engine-setup, hosted-engine"},
		"an unknown release":   {"packstack", "4.5", nil, "known are 17.0.0, 26.0.0"},
		"packstack's preset":   {"engine-setup", "", preset, "it is one of packstack"},
		"packstack's releases": {"engine-setup", "17.0.0", nil, "known are 3.4, 4.5"},
	} {
		if _, err := TargetFor(c.kind, c.release, c.preset); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

// TestNewPassesItsOwnCheck: what New writes is detected as its kind, and Check finds nothing wrong with it.
func TestNewPassesItsOwnCheck(t *testing.T) {
	for _, kind := range []string{packstack.KindName, otopi.EngineSetup} {
		target, err := TargetFor(kind, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		data, err := target.New(Order{Hostname: "cloud.example.net", Random: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		if got := Detect(data); got != kind {
			t.Errorf("Detect = %q, want %q", got, kind)
		}
		if r := target.Check(data); r.Errors > 0 {
			t.Errorf("%s: %+v", kind, r.Findings)
		}
		again, err := target.New(Order{Hostname: "cloud.example.net", Random: rand.Reader})
		if err != nil || string(again) == string(data) {
			t.Errorf("%s: two files have the same passwords (error %v)", kind, err)
		}
	}
}

func TestDiffComparesWhatIsSaidAndMasksSecrets(t *testing.T) {
	target, err := TargetFor(packstack.KindName, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := "[general]\nCONFIG_DEBUG_MODE=n\nCONFIG_MARIADB_PW=one\nCONFIG_NTP_SERVERS=\nCONFIG_MARIADB_PWD=typo\n"
	b := "# c\n[general]\nCONFIG_NTP_SERVERS = a\nconfig_debug_mode: n\nCONFIG_MARIADB_PW=two\n[x]\nCONFIG_NOVA_DB_PW=three\n"
	got, err := target.Diff([]byte(a), []byte(b))
	if err != nil {
		t.Fatal(err)
	}
	s := func(v string) *string { return &v }
	want := []Change{
		{"CONFIG_MARIADB_PW", s(Mask), s(Mask)},
		{"CONFIG_NTP_SERVERS", s(""), s("a")},
		{"CONFIG_MARIADB_PWD", s(Mask), nil},
		{"[x] CONFIG_NOVA_DB_PW", nil, s(Mask)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := target.Diff([]byte(a), []byte("x")); err == nil || !strings.Contains(err.Error(), "second") {
		t.Errorf("a file that does not parse: %v", err)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.txt")
	if err := Create(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, []byte("two")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want one that is fs.ErrExist", err)
	}
	wantFile(t, path, "one")
	if err := Replace(path, []byte("three")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "three")
}

func TestReplaceNarrowsTheModeAndFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(path, []byte("one"), 0o644), os.Symlink("real", link)); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("two")); err != nil {
		t.Fatal(err)
	}
	if s, err := os.Lstat(link); err != nil || s.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone (%v, %v)", s, err)
	}
	wantFile(t, path, "two")
}

func TestWriteLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"over a folder":         Replace(path, []byte("x")),
		"new, where one is":     Create(path, []byte("x")),
		"in a folder not there": Create(filepath.Join(dir, "no", "file"), []byte("x")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// wantFile checks content and mode, and that nothing else lies beside it but links.
func wantFile(t *testing.T, path, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil || string(data) != want {
		t.Errorf("%s holds %q, %v, want %q", path, data, err, want)
	}
	if s, err := os.Stat(path); err != nil || s.Mode() != 0o600 {
		t.Errorf("%s: %v, %v, want mode 0600", path, s.Mode(), err)
	}
	if temps, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".answers-*")); err != nil || len(temps) > 0 {
		t.Errorf("left behind: %v, %v", temps, err)
	}
}
