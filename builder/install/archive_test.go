package install

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
)

func TestArchiveFiles(t *testing.T) {
	apt := recipe.Archive{Name: "opennebula", Kind: "apt", URL: "https://downloads.example.org/6.10/Debian/12", Suites: []string{"stable"},
		Components: []string{"opennebula"}, Format: "deb822"}
	line, flat, dnf := apt, apt, apt
	line.Format, line.Suites = "one-line", []string{"stable", "updates"}
	flat.Suites, flat.Components = []string{"./"}, nil
	dnf.Kind, dnf.URL = "dnf", "https://downloads.example.org/6.10/AlmaLinux/$releasever/$basearch"
	const ring, list = "/etc/apt/keyrings/opennebula.asc", "/etc/apt/sources.list.d/opennebula."
	for name, tc := range map[string]struct {
		a    recipe.Archive
		want map[string]string
	}{
		"deb822": {apt, map[string]string{ring: "KEY", list + "sources": "Types: deb\nURIs: https://downloads.example.org/6.10/Debian/12\nSuites: stable\n" +
			"Components: opennebula\nSigned-By: /etc/apt/keyrings/opennebula.asc\n"}},
		"one line": {line, map[string]string{ring: "KEY", list + "list": "deb [signed-by=" + ring + "] https://downloads.example.org/6.10/Debian/12 stable opennebula\n" +
			"deb [signed-by=" + ring + "] https://downloads.example.org/6.10/Debian/12 updates opennebula\n"}},
		"flat": {flat, map[string]string{ring: "KEY", list + "sources": "Types: deb\nURIs: https://downloads.example.org/6.10/Debian/12\nSuites: ./\nSigned-By: " + ring + "\n"}},
		"dnf": {dnf, map[string]string{"/etc/pki/rpm-gpg/RPM-GPG-KEY-opennebula": "KEY", "/etc/yum.repos.d/opennebula.repo": "[opennebula]\nname=opennebula\n" +
			"baseurl=https://downloads.example.org/6.10/AlmaLinux/$releasever/$basearch\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n" +
			"gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-opennebula\n"}},
	} {
		got := map[string]string{}
		for _, f := range ArchiveFiles(tc.a, "KEY") {
			if f.Mode != 0o644 || f.Owner != "root" {
				t.Errorf("%s: %s is %o of %s", name, f.Path, f.Mode, f.Owner)
			}
			got[f.Path] = f.Content
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// apt on the host must look for the tree's keyrings in the tree, and for the host's where they are.
func TestKeyringsAsTheHostSeesThem(t *testing.T) {
	dir := t.TempDir()
	root, err := tree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	put(t, root, "/etc/apt/keyrings/a.asc", "key", 0o644)
	put(t, root, aptParts+"/a.sources", "Types: deb\nSigned-By: /etc/apt/keyrings/a.asc\n", 0o644)
	put(t, root, aptParts+"/b.list", "deb [arch=amd64 signed-by=/etc/apt/keyrings/a.asc] http://h s c\ndeb [signed-by=/usr/share/keyrings/host.gpg] http://h s c\n", 0o644)
	put(t, root, aptParts+"/inline.sources", "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n", 0o644)
	put(t, root, aptParts+"/old.save", "nothing for apt", 0o644)
	a := Apt{Spec: machine.Spec{Root: dir}, Dir: t.TempDir()}
	if err := a.sources(root); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	files, err := filepath.Glob(filepath.Join(a.Dir, "sources/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(f)] = string(b)
	}
	want := map[string]string{"a.sources": "Types: deb\nSigned-By: " + dir + "/etc/apt/keyrings/a.asc\n",
		"b.list":         "deb [arch=amd64 signed-by=" + dir + "/etc/apt/keyrings/a.asc] http://h s c\ndeb [signed-by=/usr/share/keyrings/host.gpg] http://h s c\n",
		"inline.sources": "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
