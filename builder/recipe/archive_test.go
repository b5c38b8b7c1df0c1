package recipe

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const testKey = "C7B00F60258AEDA3F7C3A322BDDE67CD22B0D44A"

func keyring(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../openpgp/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestArchives(t *testing.T) {
	text := keyring(t, "key.asc")
	r, err := library().Load(write(t, map[string]string{
		"recipe.yaml": `
name: child
extends: mid
archives:
- {name: one, url: "copy:/srv/one", suites: [./], key: {source: key.gpg}}
- {name: three, url: "https://example.org/3", suites: [stable], components: [main], format: one-line, key: {url: "https://example.org/key",
   fingerprints: ["c7b0 0f60 258a eda3 f7c3  a322 bdde 67cd 22b0 d44a"]}}
`,
		"mid.yaml": "name: mid\nextends: tiny\narchives:\n- {name: one, url: 'https://example.org/1', suites: [a], components: [b], key: {source: key.asc}}\n" +
			"- {name: two, url: 'http://example.org/2', suites: [a, b], components: [c], key: {source: key.asc}}\n",
		"key.gpg": keyring(t, "key.gpg"), "key.asc": text,
	}))
	if err != nil {
		t.Fatal(err)
	}
	file := ArchiveKey{Content: text, Fingerprints: []string{testKey}}
	want := []Archive{
		{Name: "one", Kind: "apt", URL: "copy:/srv/one", Suites: []string{"./"}, Format: "deb822", Key: file},
		{Name: "two", Kind: "apt", URL: "http://example.org/2", Suites: []string{"a", "b"}, Components: []string{"c"}, Format: "deb822", Key: file},
		{Name: "three", Kind: "apt", URL: "https://example.org/3", Suites: []string{"stable"}, Components: []string{"main"}, Format: "one-line",
			Key: ArchiveKey{URL: "https://example.org/key", Fingerprints: []string{testKey}}},
	}
	if diff := cmp.Diff(want, r.Archives); diff != "" {
		t.Error(diff)
	}
	if _, err := want[2].Key.Keyring([]byte(keyring(t, "rsa.asc"))); err == nil || !strings.Contains(err.Error(), "7184D96203AC180276BD7C46EC213B61C110AEDD") {
		t.Errorf("another key: %v", err)
	}
}

func TestArchiveMistakes(t *testing.T) {
	for name, tc := range map[string]struct {
		yaml string
		want []string
	}{
		"nothing said": {"- {}\n", []string{"4: archives[0].name: is missing", "4: archives[0].url: is missing", "4: archives[0].suites: is missing",
			"4: archives[0].key: needs exactly one of content, source, template, url"}},
		"twice": {"- {name: a, url: 'http://h/', suites: [./], key: {source: key.asc}}\n- {name: a, url: 'http://h/', suites: [./], key: {source: key.asc}}\n",
			[]string{`5: archives[1].name: "a" is there twice`}},
		"URL without a pin": {"- {name: a, url: 'http://h/', suites: [./], key: {url: 'https://h/k'}}\n", []string{"4: archives[0].key.fingerprints: is missing"}},
		"pin of another key": {"- {name: a, url: 'http://h/', suites: [./], key: {source: key.asc, fingerprints: ['" + strings.Repeat("0", 40) + "']}}\n",
			[]string{"4: archives[0].key.source: it holds the key " + testKey + ", which is not among the fingerprints"}},
		"short pin":  {"- {name: a, url: 'http://h/', suites: [./], key: {url: 'https://h/k', fingerprints: [BDDE67CD]}}\n", []string{`4: archives[0].key.fingerprints[0]: "BDDE67CD" is no fingerprint: 40 or 64 hex digits`}},
		"no key":     {"- {name: a, url: 'http://h/', suites: [./], key: {template: motd}}\n", []string{"4: archives[0].key.template: the key breaks off, or it is no OpenPGP key"}},
		"components": {"- name: a\n  url: http://h/\n  suites: [./, stable]\n  key: {source: key.asc}\n", []string{`4: archives[0].components: is missing: suite "stable" has some`}},
		"flat":       {"- name: a\n  url: http://h/\n  suites: [./]\n  components: [main]\n  key: {source: key.asc}\n", []string{`6: archives[0].suites[0]: "./" ends in a slash, so it has no components`}},
		"option in a URL": {"- {name: a, url: 'http://h/ [trusted=yes]', suites: [./], key: {source: key.asc}}\n",
			[]string{`4: archives[0].url: "http://h/ [trusted=yes]" does not fit ^(https?|copy):/[^\s]*$`}},
		"dnf":              {"- {name: a, kind: dnf, url: 'http://h/', suites: [x], key: {source: key.asc}}\n", []string{"4: archives[0].suites: is for apt"}},
		"dnf on Debian":    {"- {name: a, kind: dnf, url: 'http://h/', key: {source: key.asc}}\n", []string{"0: archives.a.kind: dnf needs a base.image; debian has apt"}},
		"key of no folder": {"- {name: a, url: 'http://h/', suites: [./], key: {source: ../key.asc}}\n", []string{"4: archives[0].key.source: no such file: ../key.asc"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := library().Load(write(t, map[string]string{"recipe.yaml": "name: a\nextends: tiny\narchives:\n" + tc.yaml, "key.asc": keyring(t, "key.asc")}))
			var got []string
			for _, m := range mistakes(err) {
				where := strings.TrimPrefix(m.String(), m.File+":")
				if m.Line == 0 {
					where = "0:" + where
				}
				got = append(got, where)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}
