package recipe

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"goldsmith/firstboot/report"
)

// library knows one bundled recipe, two stacks and two sealing operations.
func library() Library {
	return Library{
		Recipes: fstest.MapFS{
			"tiny.yaml": {Data: []byte("name: tiny\nbase: {suite: bookworm, packages: [systemd-sysv]}\nfiles:\n- {path: /etc/a, content: parent}\nsteps:\n- {name: one, run: 'true'}\n")},
		},
		Templates: fstest.MapFS{"motd": {Data: []byte("from a template\n")}},
		Stacks:    []string{"keystone", "apache"}, SealOps: []string{"logs", "ssh-user-keys"},
	}
}

// write puts files into a folder and returns the path of recipe.yaml in it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "recipe.yaml")
}

// TestMistakes shows that every mistake is named with its line and path, all at once.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		yaml string
		want []string // "line: path: text"
	}{
		"unknown key with a near one": {"name: a\nextends: tiny\npakages: [b]\n", []string{`3: pakages: unknown key, did you mean "packages"?`}},
		"unknown key with none near":  {"extends: tiny\nname: a\ndisk:\n  colour: red\n", []string{"4: disk.colour: unknown key, known here: size"}},
		"many at once": {"name: A_\nextends: tiny\nstacks: [keyston]\ndisk: {size: big}\nlayers:\n- name: x\n  packages: [a b]\n", []string{
			`1: name: "A_" does not fit ^[a-z0-9][a-z0-9.-]{0,62}$`,
			`3: stacks[0]: no stack is called "keyston", did you mean "keystone"?`,
			`4: disk.size: "big" is no size such as 8G`,
			`7: layers[0].packages[0]: "a b" is no name of a package`,
		}},
		"stack and seal operation with suggestions": {"name: a\nextends: tiny\nstacks: [keyston]\nseal: {disable: [log], enable: [nonsense]}\n", []string{
			`3: stacks[0]: no stack is called "keyston", did you mean "keystone"?`,
			`4: seal.enable[0]: no seal operation is called "nonsense"`,
			`4: seal.disable[0]: no seal operation is called "log", did you mean "logs"?`,
		}},
		"list where a value belongs":               {"name: [a]\nextends: tiny\n", []string{"1: name: must be one value, not a list"}},
		"value where a list belongs":               {"name: a\nextends: tiny\npackages: vim\n", []string{`3: packages: must be a list, not "vim"`}},
		"group where a list belongs":               {"name: a\nextends: tiny\nfiles: {path: /x}\n", []string{"3: files: must be a list, not a group of settings"}},
		"text that YAML takes for a number":        {"name: a\nextends: tiny\npackages: [1.5]\n", []string{"3: packages[0]: must be text; put 1.5 in quotes"}},
		"text that YAML takes for a truth":         {"name: a\nextends: tiny\nservices: {enable: [yes, true]}\n", []string{"3: services.enable[1]: must be text; put true in quotes"}},
		"mode without quotes":                      {"name: a\nextends: tiny\nfiles:\n- path: /x\n  content: y\n  mode: 0644\n", []string{`6: files[0].mode: must stand in quotes: mode: "0644"`}},
		"mode that is none":                        {"name: a\nextends: tiny\nfiles:\n- {path: /x, content: y, mode: '99'}\n", []string{`4: files[0].mode: "99" is no mode such as "0644"`}},
		"relative path":                            {"name: a\nextends: tiny\nfiles:\n- {path: etc/x, content: y}\n", []string{`4: files[0].path: "etc/x" does not fit ^/[^\n]+$`}},
		"path that leaves and comes back":          {"name: a\nextends: tiny\nfiles:\n- {path: /etc/../x, content: y}\n", []string{`4: files[0].path: "/etc/../x" is not a clean path of a file`}},
		"two sources of content":                   {"name: a\nextends: tiny\nfiles:\n- {path: /x, content: y, template: motd}\n", []string{"4: files[0]: needs exactly one of content, source, template"}},
		"missing template":                         {"name: a\nextends: tiny\nfiles:\n- {path: /x, template: nothing}\n", []string{"4: files[0].template: no such file: nothing"}},
		"source outside the folder":                {"name: a\nextends: tiny\nfiles:\n- {path: /x, source: ../../etc/passwd}\n", []string{"4: files[0].source: no such file: ../../etc/passwd"}},
		"step without work":                        {"name: a\nextends: tiny\nsteps:\n- name: x\n", []string{"4: steps[0]: needs exactly one of run, script, openstack, opennebula"}},
		"step without a name":                      {"name: a\nextends: tiny\nsteps:\n- run: x\n", []string{"4: steps[0].name: is missing"}},
		"timeout without unit":                     {"name: a\nextends: tiny\nsteps:\n- {name: x, run: y, timeout: '10'}\n", []string{`4: steps[0].timeout: time: missing unit in duration "10"`}},
		"twice the same step":                      {"name: a\nextends: tiny\nsteps:\n- {name: x, run: y}\n- {name: x, run: z}\n", []string{`5: steps[1].name: "x" is there twice`}},
		"twice the same step, and it does nothing": {"name: a\nextends: tiny\nsteps:\n- {name: x, run: y}\n- {name: x}\n", []string{"5: steps[1]: needs exactly one of run, script, openstack, opennebula", `5: steps[1].name: "x" is there twice`}},
		"key given twice":                          {"name: a\nname: b\nextends: tiny\n", []string{"2: name: is given twice"}},
		"no name":                                  {"extends: tiny\n", []string{"1: name: is missing"}},
		"layer without packages":                   {"name: a\nextends: tiny\nlayers:\n- name: x\n", []string{"4: layers[0].packages: is missing"}},
		"two layers of one name, one of them ours": {"name: a\nextends: tiny\npackages: [b]\nlayers:\n- {name: packages, packages: [c]}\n", []string{`0: layers: "packages" is the name of two layers`}},
		"option where a package belongs":           {"name: a\nextends: tiny\npackages: ['--allow-unauthenticated']\n", []string{`3: packages[0]: "--allow-unauthenticated" is no name of a package`}},
		"debconf line too short":                   {"name: a\nextends: tiny\ndebconf: [keystone]\n", []string{`3: debconf[0]: "keystone" is not 'package question type value'`}},
		"debconf type that is none":                {"name: a\nextends: tiny\ndebconf: [a a/b bool true]\n", []string{`3: debconf[0]: "bool" is no type of a question: string, boolean, select, multiselect, password, note, text, seen`}},
		"service that is none":                     {"name: a\nextends: tiny\nsteps:\n- name: x\n  openstack: {services: [keystone, swift]}\n", []string{`5: steps[0].openstack.services[1]: must be one of keystone, glance, placement, nova, compute, neutron, cinder, horizon, not "swift"`}},
		"number that is negative":                  {"name: a\nextends: tiny\nsteps:\n- name: x\n  openstack: {services: [keystone], workers: -1}\n", []string{`5: steps[0].openstack.workers: must be a whole number, not "-1"`}},
		"alias":                                    {"name: &n a\nextends: tiny\ndescription: *n\n", []string{"3: description: aliases are not allowed; write the value out"}},
		"acceptances that would accept too much, or nothing": {"name: a\nextends: tiny\naudit:\n  accept:\n  - {path: /x}\n  - {path: /, why: y}\n  - {path: '/[', why: y}\n  - {path: /x/../y, why: y}\n  - {path: x, why: y}\n", []string{
			"5: audit.accept[0].why: is missing",
			`6: audit.accept[1].path: "/" does not fit ^/[^\n]+$`,
			`7: audit.accept[2].path: "/[" is no pattern: syntax error in pattern`,
			`8: audit.accept[3].path: "/x/../y" is not a clean path; it would match nothing`,
			`9: audit.accept[4].path: "x" does not fit ^/[^\n]+$`,
		}},
		"acceptance of all": {"name: a\nextends: tiny\naudit:\n  accept:\n  - {path: /*, why: y}\n  - {path: /x, why: y}\n  - {path: /x, why: z}\n", []string{
			`5: audit.accept[0].path: "/*" accepts everything`, `7: audit.accept[2].path: "/x" is there twice`,
		}},
		"no base":   {"name: a\n", []string{"0: base.suite: is missing (or base.image, or extends)"}},
		"two bases": {"name: a\nbase: {image: x, suite: bookworm}\n", []string{"0: base: has both an image and packages; use one"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := library().Load(write(t, map[string]string{"recipe.yaml": c.yaml}))
			var got []string
			for _, m := range mistakes(err) {
				got = append(got, strings.TrimPrefix(m.String(), m.File+":"))
				if m.Line == 0 {
					got[len(got)-1] = "0:" + strings.TrimPrefix(m.String(), m.File+":")
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s\n%v", diff, err)
			}
			if code := report.CodeOf(err); code != report.Usage {
				t.Errorf("code %d, want %d", code, report.Usage)
			}
		})
	}
}

func mistakes(err error) Mistakes {
	var m Mistakes
	errors.As(err, &m)
	return m
}

// TestUnreadable shows what is said of input that is no recipe at all.
func TestUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ yaml, want string }{
		"empty":         {"", "not a group of settings"},
		"only comments": {"# nothing\n", "not a group of settings"},
		"a list":        {"- a\n", "not a group of settings"},
		"broken":        {"name: [a\n", "line 1"},
		"tabs":          {"base:\n\tsuite: x\n", "line 2"},
		"two documents": {"name: a\n---\nname: b\n", "more than one document"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := library().Load(write(t, map[string]string{"recipe.yaml": c.yaml}))
			if err == nil || !strings.Contains(err.Error(), c.want) || report.CodeOf(err) != report.Usage {
				t.Errorf("got %v, want %q and code 2", err, c.want)
			}
		})
	}
}

// TestExtends shows how a child and its parent become one.
func TestExtends(t *testing.T) {
	r, err := library().Load(write(t, map[string]string{
		"recipe.yaml": `
name: child
extends: mid
packages: [vim, less]
files:
- {path: /etc/a, content: child}
- {path: /etc/b, source: b.txt, mode: "0600", owner: "www-data:adm"}
- {path: /etc/motd, template: motd}
steps:
- {name: two, script: two.sh, timeout: 1h}
`,
		"mid.yaml": "name: mid\nextends: tiny\npackages: [less]\nsteps:\n- {name: one, run: 'false'}\n",
		"b.txt":    "beside\n", "two.sh": "echo two\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Name, Suite string
		Packages    []string
		Files       []File
		Steps       []string
	}
	got := seen{r.Name, r.Base.Suite, r.Packages, r.Files, nil}
	for _, s := range r.Steps {
		got.Steps = append(got.Steps, s.Name+": "+s.Run)
	}
	want := seen{"child", "bookworm", []string{"less", "vim"}, []File{
		{Path: "/etc/a", Content: "child", Mode: 0o644, Owner: "root"},
		{Path: "/etc/b", Content: "beside\n", Mode: 0o600, Owner: "www-data:adm"},
		{Path: "/etc/motd", Content: "from a template\n", Mode: 0o644, Owner: "root"},
	}, []string{"one: false", "two: echo two\n"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestExtendsInCircles shows that a recipe that extends itself is refused.
func TestExtendsInCircles(t *testing.T) {
	_, err := library().Load(write(t, map[string]string{"recipe.yaml": "name: a\nextends: other\n", "other.yaml": "name: b\nextends: recipe\n"}))
	if err == nil || !strings.Contains(err.Error(), "goes round in circles") {
		t.Errorf("got %v", err)
	}
}

// TestDigest shows what makes two recipes the same: what they say, not how.
func TestDigest(t *testing.T) {
	load := func(files map[string]string) string {
		r, err := library().Load(write(t, files))
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest()
	}
	a := load(map[string]string{"recipe.yaml": "name: a\nextends: tiny\npackages: [vim]\nfiles:\n- {path: /x, source: f}\n", "f": "one"})
	b := load(map[string]string{"recipe.yaml": "# a comment\nextends: tiny\npackages:\n  - vim\nname: a\nfiles: [{path: /x, content: one}]\n"})
	c := load(map[string]string{"recipe.yaml": "name: a\nextends: tiny\npackages: [vim]\nfiles:\n- {path: /x, source: f}\n", "f": "two"})
	if a != b {
		t.Error("the same recipe, written differently, has another digest")
	}
	if a == c {
		t.Error("another content of a file has the same digest")
	}
}

// TestNames shows what is said about a recipe that is not there.
func TestNames(t *testing.T) {
	if _, err := library().Load("tiny"); err != nil {
		t.Errorf("bundled: %v", err)
	}
	for _, name := range []string{"nothing", "./nothing.yaml", ""} {
		_, err := library().Load(name)
		if report.CodeOf(err) != report.Usage || len(report.Hints(err)) == 0 {
			t.Errorf("%q: %v, hints %v", name, err, report.Hints(err))
		}
	}
}

// TestSize reads and writes sizes.
func TestSize(t *testing.T) {
	for in, want := range map[string]Size{"8G": 8 << 30, "512m": 512 << 20, "1.5T": 3 << 39, "4096": 4096, " 2K ": 2048} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err != nil || s != want {
			t.Errorf("%q: %d, %v; want %d", in, s, err, want)
		}
		out, _ := s.MarshalText()
		var again Size
		if err := again.UnmarshalText(out); err != nil || again != s {
			t.Errorf("%q is written as %q, read as %d, %v", in, out, again, err)
		}
	}
	for _, in := range []string{"", "G", "-1G", "0", "8X", "1e99", "NaN", "inf"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is read as %d", in, s)
		}
	}
}

// TestMode keeps the set-id bits apart.
func TestMode(t *testing.T) {
	var m Mode
	if err := m.UnmarshalText([]byte("4755")); err != nil || m.Perm() != 0o755|os.ModeSetuid {
		t.Errorf("4755: %v, %v", m.Perm(), err)
	}
}

// FuzzLoad feeds bytes to the reader: it never panics, and what it takes it takes again after being written out.
func FuzzLoad(f *testing.F) {
	for _, s := range []string{"name: a\nextends: tiny\n", "name: a\nbase: {suite: b}\nfiles:\n- {path: /x, content: y, mode: '0644'}\n", "a: &b [*b]", "- 1", "\x00", "name: !!binary x", "? [a]\n: b"} {
		f.Add([]byte(s))
	}
	l := library()
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := l.parse(&document{file: "fuzz", data: data})
		if err == nil && (r == nil || r.Name == "") {
			t.Errorf("took %q", data)
		}
		if err != nil && report.CodeOf(err) != report.Usage {
			t.Errorf("code %d: %v", report.CodeOf(err), err)
		}
	})
}
