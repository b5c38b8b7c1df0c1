//go:build clones

package main

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"goldsmith/builder"
	"goldsmith/builder/archivetest"
	"goldsmith/firstboot/report"
)

// archived is a recipe with packages from one more archive.
func archived(url, key string) string {
	return fmt.Sprintf("archives:\n- {name: extra, url: %q, suites: [stable], components: [opennebula], key: {%s}}\npackages: [greeting]\n", url, key)
}

// greeting is a package that the distribution does not have.
func greeting(version string) archivetest.Package {
	return archivetest.Package{Name: "greeting", Version: version, Files: map[string]string{"/usr/share/greeting": version + "\n"}}
}

// TestArchiveRoad bakes with packages of a signed archive: from a folder and from a web server, whose key is fetched and must be the
// pinned one; an archive that is signed by somebody else brings nothing.
func TestArchiveRoad(t *testing.T) {
	b := newBakery(t)
	a := archivetest.New(t)
	a.Add(greeting("1.0"))
	a.Publish()
	server := httptest.NewServer(http.FileServer(http.Dir(a.Dir)))
	defer server.Close()
	other := archivetest.New(t)
	pin := func(from, fingerprint string) string {
		return fmt.Sprintf("url: %q, fingerprints: [%q]", from, fingerprint)
	}
	key, err := os.ReadFile(a.Keyring)
	if err != nil {
		t.Fatal(err)
	}
	b.must("cp", a.Keyring, filepath.Join(b.bin, "own.asc"))
	b.must("cp", other.Keyring, filepath.Join(b.bin, "other.asc"))

	for name, tc := range map[string]struct{ more, say string }{
		"key of somebody else": {archived("copy:"+a.Dir, "source: other.asc"), "not signed"},
		"fetched key that is not the pinned one": {archived(server.URL, pin(server.URL+"/archive.asc", other.Fingerprint)),
			"it holds the key " + a.Fingerprint + ", which is not among the fingerprints"},
		"no key at the URL": {archived(server.URL, pin(server.URL+"/nothing", a.Fingerprint)), "answers 404"},
	} {
		code, _, errs := b.run("bake", "--until", "packages", b.recipe(tc.more))
		if code == report.Done || !strings.Contains(errs, tc.say) {
			t.Errorf("%s: code %d\n%s", name, code, errs)
		}
		b.clean()
	}

	for name, more := range map[string]string{"folder": archived("copy:"+a.Dir, "source: own.asc"),
		"web server": archived(server.URL, pin(server.URL+"/archive.asc", a.Fingerprint))} {
		code, _, errs := b.run("bake", "--no-proof", "--name", "trial-"+name[:3], b.recipe(more))
		root := filepath.Join(b.home, "images", "trial-"+name[:3], "root")
		if got, err := os.ReadFile(filepath.Join(root, "usr/share/greeting")); code != report.Done || string(got) != "1.0\n" {
			t.Fatalf("%s: code %d, %q, %v\n%s", name, code, got, err, errs)
		}
		if got, err := os.ReadFile(filepath.Join(root, "etc/apt/keyrings/extra.asc")); string(got) != string(key) {
			t.Errorf("%s: %q %v", name, got, err)
		}
		source, err := os.ReadFile(filepath.Join(root, "etc/apt/sources.list.d/extra.sources"))
		if err != nil || !strings.Contains(string(source), "\nSigned-By: /etc/apt/keyrings/extra.asc\n") {
			t.Errorf("%s: %q %v", name, source, err)
		}
		trusted, err := filepath.Glob(filepath.Join(root, "etc/apt/trusted.gpg.d/*extra*"))
		if err != nil || trusted != nil {
			t.Errorf("%s: the key signs for every archive: %v", name, trusted)
		}
	}
	m, err := builder.Home{Dir: b.home}.ReadManifest("trial-fol")
	if err != nil || !strings.Contains(fmt.Sprint(m.Packages), "{greeting 1.0 amd64}") {
		t.Errorf("manifest: %v", err)
	}
	a.Add(greeting("2.0"))
	a.Publish()
	if code, _, errs := b.run("bake", "--until", "packages", "--fresh", b.recipe(archived("copy:"+a.Dir, "source: own.asc"))); code != report.Done {
		t.Errorf("code %d\n%s", code, errs)
	}
}

// TestTwoBakesAtOnce bakes while a machine of another bake runs.
func TestTwoBakesAtOnce(t *testing.T) {
	b := newBakery(t)
	slow := b.recipe("steps: [{name: sleeper, run: 'sleep 1000'}]\n")
	cmd := b.command("bake", "--json", "--name", "first", slow)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan() && !strings.Contains(sc.Text(), `"sleeper"`); {
	}
	if code, _, errs := b.run("bake", "--until", "configure", "--name", "second", b.recipe("steps: [{name: quick, run: 'true'}]\n")); code != report.Done {
		t.Errorf("beside another bake: code %d\n%s", code, errs)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // says that it was stopped
	b.clean()
}
