// Package seal forgets what two clones of one image must not share: one small file per thing to be forgotten, and a list
// of what is kept although a broom would take it, with reasons.
//
// An operation names paths; the machinery of this file removes or empties them, or says what it would do. What the
// keep-list names is never touched, whatever an operation says. To add an operation: write a file, add it to All.
package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// An Operation forgets one thing.
type Operation struct {
	Name  string // small letters and hyphens
	Short string // one line for the list
	Off   bool   // not done unless it is asked for
	Why   string // why it is off, or why it matters
	// Remove and Empty are glob patterns (path.Match) of paths, without the leading slash. What Remove finds is removed
	// with all below it; files that Empty finds keep their name, owner and mode.
	Remove []string
	Empty  []string
	// Do does what patterns cannot say. It may be nil.
	Do func(*Scene) error
}

// A Result is what an operation did, or would do.
type Result struct {
	Operation string   `json:"operation"`
	Paths     []string `json:"paths"`          // changed or removed, with a leading slash
	Kept      []string `json:"kept,omitempty"` // found, but on the keep-list
}

// A Scene is the tree as an operation sees it.
type Scene struct {
	Tree *tree.FS
	dry  bool
	res  *Result
}

// Run does one operation on a tree. With dry, it only says what it would do.
func Run(root *tree.FS, op Operation, dry bool) (Result, error) {
	s := &Scene{Tree: root, dry: dry, res: &Result{Operation: op.Name}}
	err := errors.Join(s.Remove(op.Remove...), s.Empty(op.Empty...))
	if err == nil && op.Do != nil {
		err = op.Do(s)
	}
	if err != nil {
		return *s.res, fmt.Errorf("cannot seal (%s): %w", op.Name, err)
	}
	return *s.res, nil
}

// Each does operations in their order. It stops at the first error, or when ctx is done.
func Each(ctx context.Context, root *tree.FS, ops []Operation, dry bool) ([]Result, error) {
	var list []Result
	for _, op := range ops {
		if err := ctx.Err(); err != nil {
			return list, err
		}
		r, err := Run(root, op, dry)
		if err != nil {
			return list, err
		}
		if len(r.Paths)+len(r.Kept) > 0 {
			list = append(list, r)
		}
	}
	return list, nil
}

// Find expands patterns to the paths that exist. A link is found, not what it leads to.
func (s *Scene) Find(patterns ...string) ([]string, error) {
	var out []string
	for _, p := range patterns {
		if !strings.ContainsAny(p, `*?[\`) {
			if _, err := s.Tree.Lstat(p); err == nil {
				out = append(out, p)
			}
			continue
		}
		found, err := fs.Glob(s.Tree, p)
		if err != nil {
			return nil, fmt.Errorf("pattern %s: %w", p, err)
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Remove removes what the patterns find.
func (s *Scene) Remove(patterns ...string) error {
	return s.each(patterns, func(p string) error {
		if s.keepsBelow(p) {
			return s.Remove(Escape(p) + "/*")
		}
		return s.do(p, func() error { return s.Tree.RemoveAll(p) })
	})
}

// Empty empties the regular files that the patterns find; those that are empty are left alone.
func (s *Scene) Empty(patterns ...string) error {
	return s.each(patterns, func(p string) error {
		st, err := s.Tree.Lstat(p)
		if err != nil || !st.Mode().IsRegular() || st.Size() == 0 {
			return err
		}
		return s.do(p, func() error { return s.Tree.Truncate(p) })
	})
}

// Write replaces a file's content. A file that says it already is left alone.
func (s *Scene) Write(name string, data []byte, perm fs.FileMode) error {
	if old, err := s.Tree.ReadFile(name); err == nil && string(old) == string(data) {
		return nil
	}
	return s.do(name, func() error { return s.Tree.WriteFile(name, data, perm) })
}

// Link makes name a symbolic link, whatever it was before.
func (s *Scene) Link(target, name string) error {
	if old, err := s.Tree.ReadLink(name); err == nil && old == target {
		return nil
	}
	return s.do(name, func() error {
		if err := s.Tree.RemoveAll(name); err != nil {
			return err
		}
		return s.Tree.Symlink(target, name)
	})
}

// Edit passes a file through a function and writes it back when that changed it. A file that is not there stays away.
func (s *Scene) Edit(name string, edit func(string) string) error {
	old, err := s.Tree.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Write(name, []byte(edit(string(old))), 0o644)
}

func (s *Scene) each(patterns []string, do func(string) error) error {
	found, err := s.Find(patterns...)
	if err != nil {
		return err
	}
	for _, p := range found {
		if kept(p) {
			s.res.Kept = append(s.res.Kept, "/"+p)
			continue
		}
		if err := do(p); err != nil {
			return err
		}
	}
	return nil
}

// do notes a change and makes it unless this is a dry run.
func (s *Scene) do(p string, change func() error) error {
	s.res.Paths = append(s.res.Paths, "/"+strings.TrimPrefix(p, "/"))
	if s.dry {
		return nil
	}
	return change()
}

// keepsBelow says whether something of the keep-list is below a directory, so that it must be emptied piece by piece.
func (s *Scene) keepsBelow(dir string) bool {
	if st, err := s.Tree.Lstat(dir); err != nil || !st.IsDir() {
		return false
	}
	for _, k := range Kept {
		for up := path.Dir(k.Path); up != "."; up = path.Dir(up) {
			if ok, _ := path.Match(up, dir); !ok { // patterns of the list are checked by a test
				continue
			}
			if found, err := fs.Glob(s.Tree, k.Path); err == nil && len(found) > 0 {
				return true
			}
		}
	}
	return false
}

// Choose returns the operations that run: the defaults, with and without those named.
func Choose(enable, disable []string) ([]Operation, error) {
	known := Names(All())
	var errs []error
	for _, n := range append(slices.Clone(enable), disable...) {
		if !slices.Contains(known, n) {
			errs = append(errs, report.Faultf(report.Usage, "cannot seal: no operation is called %q", n).WithHint("goldsmith seal --list"))
		}
	}
	var out []Operation
	for _, op := range All() {
		on := !op.Off || slices.Contains(enable, op.Name)
		if on && !slices.Contains(disable, op.Name) {
			out = append(out, op)
		}
	}
	return out, errors.Join(errs...)
}

// Names lists the names of operations.
func Names(ops []Operation) []string {
	out := make([]string, len(ops))
	for i, op := range ops {
		out[i] = op.Name
	}
	return out
}
