package fetch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"goldsmith/images"
)

func TestTheCatalogueIsSound(t *testing.T) {
	c, err := LoadCatalogue(images.FS)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"alma-8", "alma-9", "centos-8-stream", "centos-8.5", "centos-9-stream", "debian-12", "debian-13", "rocky-8", "rocky-9", "ubuntu-22.04", "ubuntu-24.04"}
	if diff := cmp.Diff(want, c.Names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, e := range c {
		if old := strings.HasPrefix(e.Name, "centos-8"); old != (e.Repositories != "") {
			t.Errorf("%s: repositories %q; only what has reached its end of life needs others", e.Name, e.Repositories)
		}
		want := "checksums over https"
		switch name, _, _ := strings.Cut(e.Name, "-"); {
		case name == "ubuntu", name == "alma":
			want = "signed checksums"
		case e.Name == "centos-8.5":
			want = "pinned digest"
		}
		if got := e.Proof(); got != want {
			t.Errorf("%s is verified by %s, want %s", e.Name, got, want)
		}
		if len(e.Notes) == 0 {
			t.Errorf("%s has no notes", e.Name)
		}
	}
	if _, err := c.Find("debian-11"); err == nil || !strings.Contains(err.Error(), "debian-12, debian-13") {
		t.Errorf("Find(debian-11) = %v, want an error that lists the names", err)
	}
}

const entry = `{"name": "a", "title": "A", "architecture": "amd64", "format": "qcow2", "url": "https://v.example/a.qcow2",
"sums": {"url": "https://v.example/S", "algorithm": "sha256"}, "login": "u", "network": "netplan", "boot": ["bios"], "end_of_life": "2030-01-01"}`

func TestLoadCatalogueRefuses(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"another name":       {`"a", "title"`, `"b", "title"`, `the name is "b"`},
		"an unknown field":   {`"login"`, `"user"`, "unknown field"},
		"a format":           {"qcow2\"", "vmdk\"", "neither qcow2 nor raw"},
		"a plain address":    {"https://v.example/a", "http://v.example/a", "no https address"},
		"plain sums":         {"https://v.example/S", "http://v.example/S", "neither a digest nor"},
		"an algorithm":       {"sha256", "md5", "neither sha256 nor sha512"},
		"a network":          {"netplan", "wifi", `network "wifi"`},
		"a boot mode":        {"bios", "openfirmware", "not of bios and uefi"},
		"a key in vain":      {`"algorithm"`, `"keys": [{"fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567", "url": "https://v.example/k"}], "algorithm"`, "keys a signature"},
		"a signature alone":  {`"algorithm"`, `"signature": "https://v.example/S.asc", "algorithm"`, "a signature needs keys"},
		"a short key":        {`"algorithm"`, `"signature": "https://v.example/S.asc", "keys": [{"fingerprint": "01234567", "url": "https://v.example/k"}], "algorithm"`, "is not 40 capital"},
		"a day":              {"2030-01-01", "soon", "no day"},
		"no login":           {`"u"`, `""`, "login is missing"},
		"a digest":           {`"login"`, `"digest": "sha256:xyz", "login"`, "not sha256:"},
		"two things at once": {`netplan", "boot": ["bios"]`, `wifi", "boot": []`, "\n"},
	} {
		data := strings.Replace(entry, c.from, c.to, 1)
		_, err := LoadCatalogue(fstest.MapFS{"a.json": {Data: []byte(data)}})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if c, err := LoadCatalogue(fstest.MapFS{"a.json": {Data: []byte(entry)}}); err != nil || len(c) != 1 {
		t.Errorf("the entry that the others are made from: %v, %v", c, err)
	}
}

func TestLoadConfig(t *testing.T) {
	dir := t.TempDir()
	if c, err := LoadConfig(filepath.Join(dir, "no.json")); err != nil || len(c.Local) > 0 {
		t.Errorf("no file: %v, %v, want an empty configuration", c, err)
	}
	for name, c := range map[string]struct{ data, want string }{
		"a digest":        {`{"digests": {"a": "abc"}}`, "cannot use the digest of a"},
		"a mirror":        {`{"mirrors": {"https://v.example/": ["ftp://m"]}}`, "cannot use mirror"},
		"a word":          {`{"lokal": []}`, "unknown field"},
		"two at once":     {`{"digests": {"a": "abc"}, "mirrors": {"https://v.example/": ["m"]}}`, "\n"},
		"what is no JSON": {`local: []`, "cannot read"},
	} {
		path := filepath.Join(dir, "c.json")
		if err := os.WriteFile(path, []byte(c.data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
