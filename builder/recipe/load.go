package recipe

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"goldsmith/firstboot/report"
)

// A Library is what recipes may refer to.
type Library struct {
	Recipes   fs.FS    // recipes that come with goldsmith, as NAME.yaml
	Templates fs.FS    // files and scripts that recipes name
	Stacks    []string // what firstboot can rewrite
	SealOps   []string // operations of the seal
	// Steps says what a step needs and the recipe lacks, one sentence each. It may be nil.
	Steps func(*Recipe, Step) []string
	// Images are the base images that a step may upload. Without any, every name will do.
	Images []string
	// Answers says what is wrong with the answers that a step wants. It may be nil.
	Answers func(*Answers) error
}

// maxExtends is how long a chain of extends may be; a longer one is a circle.
const maxExtends = 8

// Load reads a recipe by file name, or by its bare name when it comes with goldsmith, with all that it extends. What files
// and scripts it refers to is read too: a loaded recipe depends on nothing outside itself.
func (l Library) Load(name string) (*Recipe, error) {
	r, file, err := l.resolve(name, nil)
	if err != nil {
		return nil, err
	}
	r.setDefaults()
	return r, l.complete(r, file).fault()
}

// resolve loads one file and merges it onto what it extends. It returns the file's name for messages.
func (l Library) resolve(name string, from []string) (*Recipe, string, error) {
	if len(from) == maxExtends {
		return nil, "", report.Faultf(report.Usage, "cannot load recipe %s: extends goes round in circles: %s", from[0], strings.Join(from[1:], " -> "))
	}
	d, err := l.open(name)
	if err != nil {
		return nil, "", err
	}
	r, err := l.parse(d)
	if err != nil || r.Extends == "" {
		return r, d.file, err
	}
	parent, _, err := l.resolve(d.beside(r.Extends), append(from, d.file))
	if err != nil {
		return nil, "", err
	}
	return merge(parent, r), d.file, nil
}

// A document is one recipe file and where the files beside it are.
type document struct {
	file string // as shown in messages
	data []byte
	dir  fs.FS // nil for a bundled recipe
	path string
}

// open finds the recipe called name: a path when it has a slash or an ending, else one that comes with goldsmith.
func (l Library) open(name string) (*document, error) {
	if !strings.ContainsRune(name, '/') && filepath.Ext(name) == "" {
		data, err := fs.ReadFile(l.Recipes, name+".yaml")
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot find recipe %s: no file, and none of goldsmith's: %s", name, strings.Join(l.Names(), ", ")).
				WithHint("give the path of a file, such as ./%s.yaml", name)
		}
		return &document{file: name + ".yaml", data: data}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, report.Faultf(report.Usage, "cannot read recipe: %w", err).WithHint("recipes that come with goldsmith: %s", strings.Join(l.Names(), ", "))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRecipe+1))
	switch {
	case err != nil:
		return nil, report.Faultf(report.Usage, "cannot read recipe: %w", err)
	case len(data) > maxRecipe:
		return nil, report.Faultf(report.Usage, "cannot read recipe %s: longer than %d bytes", name, maxRecipe)
	}
	return &document{file: name, data: data, dir: os.DirFS(filepath.Dir(name)), path: filepath.Dir(name)}, nil
}

// maxRecipe is the largest recipe that is read: far above any that a person would write.
const maxRecipe = 1 << 20

// Names lists the recipes that come with goldsmith.
func (l Library) Names() []string {
	files, err := fs.Glob(l.Recipes, "*.yaml")
	if err != nil {
		return nil // only a bad pattern fails
	}
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, ".yaml")
	}
	return files
}

// beside turns what extends names into what open takes: a sibling file where there is one, else a bundled name.
func (d *document) beside(name string) string {
	if d.dir == nil || filepath.IsAbs(name) {
		return name
	}
	for _, file := range []string{name, name + ".yaml"} {
		if p := filepath.Join(d.path, file); filepath.Ext(file) != "" && exists(p) {
			return p // its ending makes a path of it
		}
	}
	return name
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// parse checks one document by itself and inlines what it refers to.
func (l Library) parse(d *document) (*Recipe, error) {
	root, err := decode(d)
	if err != nil {
		return nil, err
	}
	s := &shape{file: d.file, lines: map[string]int{}}
	r := &Recipe{}
	s.walk(root, reflect.TypeFor[Recipe](), "", "")
	// What does not fit its type is noted already; the decoder takes the rest, which is checked all the same.
	if err := root.Decode(r); err != nil && len(s.mistakes) == 0 {
		return nil, report.Faultf(report.Usage, "cannot read recipe %s: %w", d.file, err)
	}
	l.checkItems(d, r, s)
	return r, s.mistakes.fault()
}

// decode returns the one mapping that a recipe file must be.
func decode(d *document) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(d.data))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if err == nil && !errors.Is(dec.Decode(&more), io.EOF) {
		err = errors.New("more than one document")
	}
	if errors.Is(err, io.EOF) || err == nil && doc.Content[0].Kind != yaml.MappingNode {
		err = errors.New("not a group of settings")
	}
	if err != nil {
		return nil, report.Faultf(report.Usage, "cannot read recipe %s: %s", d.file, strings.TrimPrefix(err.Error(), "yaml: ")).
			WithHint("start from one that works: goldsmith bake --show debian-minimal")
	}
	return doc.Content[0], nil
}

// read returns the text of a file beside the recipe or of a template. Escapes (.., links out of the folder) are errors.
func (l Library) read(d *document, name string) (string, error) {
	if d.dir != nil && fs.ValidPath(path.Clean(name)) {
		data, err := fs.ReadFile(d.dir, path.Clean(name))
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(data), err
		}
	}
	return l.template(name)
}

func (l Library) template(name string) (string, error) {
	data, err := fs.ReadFile(l.Templates, name)
	if err != nil {
		return "", fmt.Errorf("no such file: %s", name)
	}
	return string(data), nil
}

// Digest is the sha256, in hex, of the recipe as loaded: of everything that it says, not of how it was written down.
func (r *Recipe) Digest() string {
	b, err := json.Marshal(r)
	if err != nil {
		panic("recipe does not marshal: " + err.Error()) // impossible: its types are plain
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
