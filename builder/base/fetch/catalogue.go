// Package fetch brings base images of the catalogue onto the bench: from a local folder, a mirror or the vendor, whichever
// comes first, resumed where an earlier download stopped, and never without proof that it is what the vendor published.
//
// The proof is a digest. It is pinned in the catalogue or in the bench's configuration, or read from the vendor's own checksum
// file over https; where the vendor signs that file, the signature must be one of a key whose fingerprint is in the catalogue.
// A mirror may bring the image, but nothing that a mirror says about it is believed.
package fetch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// An Entry is one base image of the catalogue.
type Entry struct {
	Name         string   `json:"name"`
	Title        string   `json:"title"`
	Architecture string   `json:"architecture"`
	Format       string   `json:"format"` // as qemu-img calls it
	URL          string   `json:"url"`    // at the vendor's
	Sums         Sums     `json:"sums"`
	Digest       Digest   `json:"digest,omitempty"`       // pinned; without it Sums says
	Login        string   `json:"login"`                  // the user that cloud-init gives the key to
	Network      string   `json:"network"`                // networkd, networkmanager, network-scripts, netplan, ifupdown
	Boot         []string `json:"boot"`                   // bios, uefi
	EndOfLife    string   `json:"end_of_life"`            // day of the last update, YYYY-MM-DD
	Repositories string   `json:"repositories,omitempty"` // where its packages are, when that is no longer where it looks for them
	Notes        []string `json:"notes,omitempty"`
}

// Sums is the vendor's checksum file.
type Sums struct {
	URL       string `json:"url"`
	Algorithm string `json:"algorithm"`           // sha256 or sha512
	Signature string `json:"signature,omitempty"` // detached OpenPGP signature of the file; with it no unsigned file is believed
	Keys      []Key  `json:"keys,omitempty"`      // whose signature it must be
}

// Proof says in a few words why the image may be believed.
func (e *Entry) Proof() string {
	switch {
	case e.Digest != "":
		return "pinned digest"
	case e.Sums.Signature != "":
		return "signed checksums"
	}
	return "checksums over https"
}

// file is the name of the image in the vendor's checksum file.
func (e *Entry) file() string { return path.Base(e.URL) }

// A Catalogue is a list of entries by name.
type Catalogue []*Entry

// LoadCatalogue reads every *.json of dir and reports all that is wrong with them at once.
func LoadCatalogue(dir fs.FS) (Catalogue, error) {
	names, err := fs.Glob(dir, "*.json")
	if err != nil {
		return nil, fmt.Errorf("cannot read the catalogue: %w", err)
	}
	var c Catalogue
	var bad []error
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		e := &Entry{}
		if err == nil {
			err = strictJSON(data, e)
		}
		if err == nil {
			err = e.check(strings.TrimSuffix(name, ".json"))
		}
		if err != nil {
			bad = append(bad, fmt.Errorf("cannot read catalogue entry %s: %w", name, err))
			continue
		}
		c = append(c, e)
	}
	return c, errors.Join(bad...)
}

func strictJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

var dayPattern = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

// check collects what is wrong with an entry that stands in a file of this name.
func (e *Entry) check(file string) error {
	var bad []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Errorf(format, args...))
		}
	}
	want(e.Name == file, "the name is %q, and not that of the file", e.Name)
	want(slices.Contains([]string{"qcow2", "raw"}, e.Format), "format %q is neither qcow2 nor raw", e.Format)
	want(httpsURL(e.URL) && e.file() != "/" && e.file() != ".", "url %q is no https address of a file", e.URL)
	want(e.Digest != "" || httpsURL(e.Sums.URL), "neither a digest nor the https address of a checksum file")
	want(e.Sums.Algorithm == "" || newHash(e.Sums.Algorithm) != nil, "algorithm %q is neither sha256 nor sha512", e.Sums.Algorithm)
	want((e.Sums.Signature == "") == (len(e.Sums.Keys) == 0), "a signature needs keys, and keys a signature")
	want(e.Sums.Signature == "" || httpsURL(e.Sums.Signature), "signature %q is no https address", e.Sums.Signature)
	for _, k := range e.Sums.Keys {
		want(fingerprintPattern.MatchString(k.Fingerprint) && httpsURL(k.URL), "key %q is not 40 capital hexadecimal digits with an https address", k.Fingerprint)
	}
	want(e.Digest == "" || e.Digest.Valid(), "digest %q is not sha256:... or sha512:...", e.Digest)
	want(e.Login != "" && e.Title != "" && e.Architecture != "", "title, architecture or login is missing")
	want(slices.Contains([]string{"networkd", "networkmanager", "network-scripts", "netplan", "ifupdown"}, e.Network), "network %q is not known", e.Network)
	want(len(e.Boot) > 0 && !slices.ContainsFunc(e.Boot, func(b string) bool { return b != "bios" && b != "uefi" }), "boot %q is not of bios and uefi", e.Boot)
	want(dayPattern.MatchString(e.EndOfLife), "end_of_life %q is no day as 2026-12-31", e.EndOfLife)
	return errors.Join(bad...)
}

func httpsURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

// Find returns the entry of a name, or an error that lists the names.
func (c Catalogue) Find(name string) (*Entry, error) {
	i := slices.IndexFunc(c, func(e *Entry) bool { return e.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("cannot find base image %q: the catalogue has %s", name, strings.Join(c.Names(), ", "))
	}
	return c[i], nil
}

// Names lists the names, sorted.
func (c Catalogue) Names() []string {
	var out []string
	for _, e := range c {
		out = append(out, e.Name)
	}
	slices.Sort(out)
	return out
}

// A Config is what a bench puts in front of the catalogue.
type Config struct {
	// Local lists folders that are looked into first, for the image under the vendor's file name.
	Local []string `json:"local,omitempty"`
	// Mirrors are tried before the vendor, in order, where the address of an image begins with the key.
	Mirrors map[string][]string `json:"mirrors,omitempty"`
	// Digests pins images by name. It wins over the catalogue, and makes the vendor's checksum file needless.
	Digests map[string]Digest `json:"digests,omitempty"`
}

// LoadConfig reads a configuration; a file that does not exist is an empty one.
func LoadConfig(path string) (Config, error) {
	var c Config
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err == nil {
		err = strictJSON(data, &c)
	}
	if err != nil {
		return c, fmt.Errorf("cannot read %s: %w", path, err)
	}
	var bad []error
	for name, d := range c.Digests {
		if !d.Valid() {
			bad = append(bad, fmt.Errorf("cannot use the digest of %s in %s: want sha256:HEX or sha512:HEX", name, path))
		}
	}
	for from, list := range c.Mirrors {
		for _, m := range list {
			if u, err := url.Parse(m); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				bad = append(bad, fmt.Errorf("cannot use mirror %q of %s in %s: it is no http address", m, from, path))
			}
		}
	}
	return c, errors.Join(bad...)
}

// sources lists where the image may be had, first choice first.
func (c Config) sources(e *Entry) []string {
	var out []string
	prefixes := slices.Sorted(maps.Keys(c.Mirrors))
	slices.Reverse(prefixes) // the longer, more special one first
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(e.URL, prefix); ok {
			for _, m := range c.Mirrors[prefix] {
				out = append(out, m+rest)
			}
		}
	}
	return append(out, e.URL)
}
