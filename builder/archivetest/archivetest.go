// Package archivetest makes package archives for tests: packages by dpkg-deb, lists by dpkg-scanpackages, a signature by gpg with a
// key of its own. What reads them is the real apt.
package archivetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An Archive is a folder that apt can read by a copy: URL, or any web server can serve. Its suite is stable, its component opennebula.
type Archive struct {
	Dir         string
	Keyring     string // path of the armoured public key
	Fingerprint string

	t   testing.TB
	gpg string
}

// A Package is one to be built.
type Package struct {
	Name, Version, Depends string
	Files                  map[string]string // path to content
	Modes                  map[string]fs.FileMode
	Postinst               string // shell
}

// New makes an empty archive and its key. The key's folder is short: gpg-agent's socket is in it.
func New(t testing.TB) *Archive {
	t.Helper()
	gpg, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	a := &Archive{Dir: t.TempDir(), t: t, gpg: gpg}
	t.Cleanup(func() {
		a.run("", "gpgconf", "--kill", "all")
		if err := os.RemoveAll(gpg); err != nil {
			t.Error(err)
		}
	})
	a.run("", "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "archive of a test <test@example.org>", "ed25519", "sign", "never")
	for line := range strings.Lines(a.run("", "gpg", "--with-colons", "--list-keys")) {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			a.Fingerprint = f[9]
		}
	}
	a.Keyring = filepath.Join(a.Dir, "archive.asc")
	a.write(a.Keyring, []byte(a.run("", "gpg", "--armor", "--export")), 0o644)
	return a
}

// run runs a program with the archive's own keys, and returns what it printed.
func (a *Archive) run(dir string, argv ...string) string {
	a.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GNUPGHOME="+a.gpg, "LC_ALL=C.UTF-8")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		a.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, errs.String())
	}
	return out.String()
}

func (a *Archive) write(name string, data []byte, mode fs.FileMode) {
	a.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(name, data, mode); err != nil {
		a.t.Fatal(err)
	}
}

// Add builds packages into the pool. Publish makes them known.
func (a *Archive) Add(packages ...Package) {
	a.t.Helper()
	for _, p := range packages {
		src := a.t.TempDir()
		for name, data := range p.Files {
			mode := p.Modes[name]
			if mode == 0 {
				mode = 0o644
			}
			a.write(filepath.Join(src, name), []byte(data), mode)
		}
		control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: a test <test@example.org>\nDescription: stands in for the real one\n", p.Name, p.Version)
		if p.Depends != "" {
			control += "Depends: " + p.Depends + "\n"
		}
		a.write(filepath.Join(src, "DEBIAN/control"), []byte(control), 0o644)
		if p.Postinst != "" {
			a.write(filepath.Join(src, "DEBIAN/postinst"), []byte("#!/bin/sh\nset -e\n"+p.Postinst), 0o755)
		}
		a.write(filepath.Join(a.Dir, "pool/README"), nil, 0o644)
		a.run("", "dpkg-deb", "--root-owner-group", "-Znone", "--build", src, filepath.Join(a.Dir, "pool"))
	}
}

// Publish writes and signs the lists.
func (a *Archive) Publish() {
	a.t.Helper()
	suite := filepath.Join(a.Dir, "dists/stable")
	const list = "opennebula/binary-amd64/Packages"
	packages := []byte(a.run(a.Dir, "dpkg-scanpackages", "--multiversion", "pool"))
	a.write(filepath.Join(suite, list), packages, 0o644)
	sum := sha256.Sum256(packages)
	a.write(filepath.Join(suite, "Release"), fmt.Appendf(nil, "Suite: stable\nCodename: stable\nComponents: opennebula\nArchitectures: amd64\nDate: %s\nSHA256:\n %s %d %s\n",
		time.Now().UTC().Format(time.RFC1123), hex.EncodeToString(sum[:]), len(packages), list), 0o644)
	a.run(suite, "gpg", "--batch", "--yes", "--quiet", "--clearsign", "--output", "InRelease", "Release")
}
