package recipe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"goldsmith/builder/openpgp"
)

// The kinds of archive.
const (
	AptArchive = "apt"
	DnfArchive = "dnf"
)

// An Archive is a package archive beside the distribution's own. Its key signs for it alone.
type Archive struct {
	Name       string     `yaml:"name" json:"name" pattern:"^[a-z0-9][a-z0-9-]{0,39}$" doc:"its files in the image are called so"`
	Kind       string     `yaml:"kind" json:"kind,omitempty" enum:"apt,dnf" doc:"whose archive; default apt"`
	URL        string     `yaml:"url" json:"url" pattern:"^(https?|copy):/[^\\s]*$" doc:"where it is; copy:/path is a folder of the build machine"`
	Suites     []string   `yaml:"suites" json:"suites,omitempty" pattern:"^[A-Za-z0-9./][A-Za-z0-9./_-]*$" doc:"such as stable; one that ends in a slash has no components (apt)"`
	Components []string   `yaml:"components" json:"components,omitempty" pattern:"^[A-Za-z0-9][A-Za-z0-9./_-]*$" doc:"such as main (apt)"`
	Format     string     `yaml:"format" json:"format,omitempty" enum:"deb822,one-line" doc:"form of the file below sources.list.d; default deb822 (apt)"`
	Key        ArchiveKey `yaml:"key" json:"key" doc:"the keyring that the archive is signed with"`
}

// An ArchiveKey is a keyring. Exactly one of Content, Source, Template and URL says which; a loaded recipe has Content, or a URL and
// whose keys may come from there.
type ArchiveKey struct {
	Content      string   `yaml:"content" json:"content,omitempty" doc:"the keyring, armoured"`
	Source       string   `yaml:"source" json:"source,omitempty" doc:"file beside the recipe, armoured or not"`
	Template     string   `yaml:"template" json:"template,omitempty" doc:"file of goldsmith's templates"`
	URL          string   `yaml:"url" json:"url,omitempty" pattern:"^https?://[^\\s]+$" doc:"fetched when the archive is added; needs fingerprints"`
	Fingerprints []string `yaml:"fingerprints" json:"fingerprints,omitempty" doc:"of every key in it, 40 or 64 hex digits; filled in for a file"`
}

// Keyring returns a keyring as text, when none but the keys with these fingerprints are in it.
func (k ArchiveKey) Keyring(data []byte) (string, error) {
	have, err := openpgp.Fingerprints(data)
	if err != nil {
		return "", err
	}
	for _, f := range have {
		if !slices.Contains(k.Fingerprints, f) {
			return "", fmt.Errorf("it holds the key %s, which is not among the fingerprints", f)
		}
	}
	return openpgp.Armor(data), nil
}

// checkArchives checks the archives of one file and reads their keys.
func (l Library) checkArchives(d *document, r *Recipe, s *shape) {
	for i := range r.Archives {
		a, p := &r.Archives[i], fmt.Sprintf("archives[%d]", i)
		s.need(a.Name != "", p+".name")
		s.need(a.URL != "", p+".url")
		if a.Kind == DnfArchive {
			s.none(p, "is for apt", map[string]bool{"suites": a.Suites != nil, "components": a.Components != nil, "format": a.Format != ""})
		} else {
			s.need(len(a.Suites) > 0, p+".suites")
			checkSuites(s, a, p)
		}
		l.checkKey(d, &a.Key, s, p+".key")
	}
	unique(s, "archives", "name", r.Archives, func(a Archive) string { return a.Name })
}

// checkSuites knows apt's two forms: suites with components, and a path that ends in a slash and has none.
func checkSuites(s *shape, a *Archive, p string) {
	for i, suite := range a.Suites {
		at := fmt.Sprintf("%s.suites[%d]", p, i)
		switch flat := strings.HasSuffix(suite, "/"); {
		case flat && len(a.Components) > 0:
			s.at(at, "%q ends in a slash, so it has no components", suite)
		case !flat && len(a.Components) == 0:
			s.at(p+".components", "is missing: suite %q has some", suite)
		}
	}
}

// none refuses settings that mean nothing here.
func (s *shape) none(p, why string, set map[string]bool) {
	for key, is := range set {
		if is {
			s.at(p+"."+key, "%s", why)
		}
	}
}

// checkKey reads the keyring, so that a key which is not what it should be is found before anything is done.
func (l Library) checkKey(d *document, k *ArchiveKey, s *shape, p string) {
	for i, f := range k.Fingerprints {
		if k.Fingerprints[i] = openpgp.Clean(f); k.Fingerprints[i] == "" {
			s.at(fmt.Sprintf("%s.fingerprints[%d]", p, i), "%q is no fingerprint: 40 or 64 hex digits", f)
		}
	}
	name, text, err := "content", k.Content, error(nil)
	switch {
	case one(k.Content, k.Source, k.Template, k.URL) != 1:
		s.at(p, "needs exactly one of content, source, template, url")
		return
	case k.URL != "":
		s.need(len(k.Fingerprints) > 0, p+".fingerprints")
		return
	case k.Source != "":
		name = "source"
		text, err = l.read(d, k.Source)
	case k.Template != "":
		name = "template"
		text, err = l.template(k.Template)
	}
	if err == nil {
		err = k.take([]byte(text))
	}
	s.ok(err, p+"."+name)
}

// take keeps a keyring that was read.
func (k *ArchiveKey) take(keyring []byte) error {
	have, err := openpgp.Fingerprints(keyring)
	if err != nil {
		return err
	}
	if len(k.Fingerprints) == 0 {
		k.Fingerprints = have
	}
	k.Source, k.Template = "", ""
	k.Content, err = k.Keyring(keyring)
	return err
}

func (r *Recipe) setArchiveDefaults() {
	for i := range r.Archives {
		a := &r.Archives[i]
		a.Kind = cmp.Or(a.Kind, AptArchive)
		if a.Kind == AptArchive {
			a.Format = cmp.Or(a.Format, "deb822")
		}
	}
}

// checkArchiveKinds: systems that are bootstrapped from packages are of the apt kind.
func (r *Recipe) checkArchiveKinds(add func(path, format string, args ...any)) {
	for _, a := range r.Archives {
		if a.Kind == DnfArchive && r.Base.Image == "" {
			add("archives."+a.Name+".kind", "dnf needs a base.image; %s has apt", cmp.Or(r.Base.Distribution, "the base"))
		}
		if a.Kind == DnfArchive && strings.HasPrefix(a.URL, "copy:") {
			add("archives."+a.Name+".url", "dnf knows no copy:")
		}
	}
}
