package recipe

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// at notes a mistake at the line of a path, or of its nearest parent that was written down. Where there is a mistake
// already, at, above or below the path, another one would only be its echo.
func (s *shape) at(p, format string, args ...any) {
	for _, m := range s.mistakes {
		if within(p, m.Path) || within(m.Path, p) {
			return
		}
	}
	s.add(s.where(p), p, format, args...)
}

// where returns the line of a path, or of its nearest parent that was written down.
func (s *shape) where(p string) *yaml.Node {
	line, ok := s.lines[p]
	for q := p; !ok && q != ""; line, ok = s.lines[q] {
		q = q[:max(strings.LastIndexAny(q, ".["), 0)]
	}
	return &yaml.Node{Line: line}
}

// within says whether a path is another one or stands below it: steps[1].run is within steps[1], steps[10] is not.
func within(p, above string) bool {
	rest, ok := strings.CutPrefix(p, above)
	return ok && (rest == "" || above == "" || strings.HasSuffix(above, ".") || rest[0] == '.' || rest[0] == '[')
}

// checkItems checks what one file says by itself, and inlines files and scripts.
func (l Library) checkItems(d *document, r *Recipe, s *shape) {
	for i := range r.Files {
		l.checkFile(d, &r.Files[i], s, fmt.Sprintf("files[%d]", i))
	}
	for i := range r.Steps {
		l.checkStep(d, &r.Steps[i], s, fmt.Sprintf("steps[%d]", i))
	}
	for i, g := range r.Layers {
		p := fmt.Sprintf("layers[%d]", i)
		s.need(g.Name != "", p+".name")
		s.need(len(g.Packages) > 0, p+".packages")
		s.packages(g.Packages, p+".packages")
		s.debconf(g.Debconf, p+".debconf")
	}
	l.checkArchives(d, r, s)
	for i, a := range r.Audit.Accept {
		s.accept(a, fmt.Sprintf("audit.accept[%d]", i))
	}
	unique(s, "audit.accept", "path", r.Audit.Accept, func(a Accept) string { return a.Path })
	l.checkVMItems(d, r, s)
	s.packages(r.Packages, "packages")
	s.packages(r.Base.Packages, "base.packages")
	s.debconf(r.Debconf, "debconf")
	s.known(r.Stacks, "stacks", "stack", l.Stacks)
	s.known(r.Seal.Enable, "seal.enable", "seal operation", l.SealOps)
	s.known(r.Seal.Disable, "seal.disable", "seal operation", l.SealOps)
	unique(s, "layers", "name", r.Layers, func(g Layer) string { return g.Name })
	unique(s, "steps", "name", r.Steps, func(t Step) string { return t.Name })
	unique(s, "files", "path", r.Files, func(f File) string { return f.Path })
	s.need(r.Name != "", "name")
}

func (s *shape) need(ok bool, p string) {
	if !ok {
		s.at(p, "is missing")
	}
}

// unique refuses two items whose key says the same: the second would silently win.
func unique[T any](s *shape, list, key string, items []T, name func(T) string) {
	seen := map[string]bool{}
	for i, it := range items {
		n := name(it)
		if n != "" && seen[n] {
			p := fmt.Sprintf("%s[%d].%s", list, i, key) // no echo of what else is wrong with the item
			s.add(s.where(p), p, "%q is there twice", n)
		}
		seen[n] = true
	}
}

// accept wants a path that matches something, and a reason.
func (s *shape) accept(a Accept, p string) {
	s.need(a.Path != "", p+".path")
	s.need(strings.TrimSpace(a.Why) != "", p+".why")
	if _, err := path.Match(a.Path, "/"); err != nil {
		s.at(p+".path", "%q is no pattern: %v", a.Path, err)
	} else if a.Path != "" && path.Clean(a.Path) != a.Path {
		s.at(p+".path", "%q is not a clean path; it would match nothing", a.Path)
	} else if strings.Trim(a.Path, "/*") == "" {
		s.at(p+".path", "%q accepts everything", a.Path)
	}
}

// packages refuses what apt would take for something else than a package's name.
func (s *shape) packages(list []string, p string) {
	for i, name := range list {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789+-.:=~") != "" || strings.HasPrefix(name, "-") {
			s.at(fmt.Sprintf("%s[%d]", p, i), "%q is no name of a package", name)
		}
	}
}

// debconf checks lines of debconf-set-selections(1): package, question, type, value (which may be empty).
func (s *shape) debconf(list []string, p string) {
	types := []string{"string", "boolean", "select", "multiselect", "password", "note", "text", "seen"}
	for i, line := range list {
		f := strings.Fields(line)
		switch at := fmt.Sprintf("%s[%d]", p, i); {
		case len(f) < 3 || strings.ContainsRune(line, '\n'):
			s.at(at, "%q is not 'package question type value'", line)
		case !slices.Contains(types, f[2]):
			s.at(at, "%q is no type of a question: %s", f[2], strings.Join(types, ", "))
		}
	}
}

func (s *shape) known(names []string, p, what string, all []string) {
	for i, n := range names {
		if slices.Contains(all, n) {
			continue
		}
		text := fmt.Sprintf("no %s is called %q", what, n)
		if near := suggest(n, all); near != "" {
			text += fmt.Sprintf(", did you mean %q?", near)
		}
		s.at(fmt.Sprintf("%s[%d]", p, i), "%s", text)
	}
}

// checkFile wants exactly one source of content and turns it into Content.
func (l Library) checkFile(d *document, f *File, s *shape, p string) {
	s.need(f.Path != "", p+".path")
	if f.Path != "" && (path.Clean(f.Path) != f.Path || f.Path == "/") {
		s.at(p+".path", "%q is not a clean path of a file", f.Path)
	}
	if one(f.Content, f.Source, f.Template) != 1 {
		if !(s.has(p+".content") && f.Source == "" && f.Template == "") { // an empty file is a file
			s.at(p, "needs exactly one of content, source, template")
		}
		return
	}
	var err error
	switch {
	case f.Source != "":
		f.Content, err = l.read(d, f.Source)
		s.ok(err, p+".source")
	case f.Template != "":
		f.Content, err = l.template(f.Template)
		s.ok(err, p+".template")
	}
	f.Source, f.Template = "", ""
}

// checkStep wants exactly one kind of work and turns a script into Run.
func (l Library) checkStep(d *document, t *Step, s *shape, p string) {
	s.need(t.Name != "", p+".name")
	n := one(t.Run, t.Script)
	if t.OpenStack != nil {
		n++
		s.need(len(t.OpenStack.Services) > 0, p+".openstack.services")
	}
	if o := t.OpenNebula; o != nil {
		n++
		o.check(s, p+".opennebula")
	}
	if n > 1 || n == 0 && len(t.needsVM()) == 0 {
		s.at(p, "needs exactly one of run, script, openstack, opennebula")
		return
	}
	if t.Script != "" {
		var err error
		t.Run, err = l.read(d, t.Script)
		s.ok(err, p+".script")
		t.Script = ""
	}
}

func (s *shape) has(p string) bool { _, ok := s.lines[p]; return ok }

func (s *shape) ok(err error, p string) {
	if err != nil {
		s.at(p, "%v", err)
	}
}

func one(values ...string) int {
	n := 0
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

// complete checks the recipe as a whole, after everything that it extends was merged in.
func (l Library) complete(r *Recipe, file string) Mistakes {
	var out Mistakes
	add := func(p, format string, args ...any) {
		out = append(out, Mistake{File: file, Path: p, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case r.Base.Image != "" && (r.Base.Suite != "" || len(r.Base.Packages) > 0):
		add("base", "has both an image and packages; use one")
	case r.Base.Image == "" && r.Base.Suite == "":
		add("base.suite", "is missing (or base.image, or extends)")
	}
	r.checkVM(add)
	r.checkArchiveKinds(add)
	unique := map[string]bool{"packages": len(r.Packages) > 0}
	for _, g := range r.Layers {
		if unique[g.Name] {
			add("layers", "%q is the name of two layers", g.Name)
		}
		unique[g.Name] = true
	}
	if l.Steps != nil {
		for _, t := range r.Steps {
			for _, lack := range l.Steps(r, t) {
				add("steps."+t.Name, "%s", lack)
			}
		}
	}
	return out
}
