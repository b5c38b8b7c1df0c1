// Package install knows what the stacks of a golden image consist of: one file per stack, each a list of named edits, checks
// and texts that a recipe's steps use.
//
// Everything here is idempotent and says what it found. An edit that cannot be made says why, and leaves its file as it was.
package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"goldsmith/builder/tree"
)

// An Edit is one named change to one file.
type Edit struct {
	Name string
	Path string
	// Change returns what the file shall hold. It gets nil for a file that is not there, but only when Create is set.
	Change func(data []byte) ([]byte, error)
	// Create allows the file not to exist, with this mode for a new one.
	Create fs.FileMode
	// Link makes Path a symbolic link to this target; Change is not asked.
	Link string
	// When, if set, must exist; without it the edit is not needed: a machine without AppArmor needs no AppArmor rule.
	When string
}

// A State is what became of an edit.
type State string

// The states of an edit.
const (
	Changed    State = "changed"
	Already    State = "already there"
	Impossible State = "impossible"
	HeldBack   State = "held back"  // another edit of the same file is impossible, and the file was left as it was
	NotNeeded  State = "not needed" // see Why
)

// A Result says what became of one edit.
type Result struct {
	Name, Path string
	State      State
	Why        string // for Impossible, HeldBack and NotNeeded; for Already, what differs on purpose
}

func (r Result) String() string {
	s := fmt.Sprintf("%-13s %s (%s)", r.State, r.Name, r.Path)
	if r.Why != "" {
		s += ": " + r.Why
	}
	return s
}

// A Kept error is returned by a Change that finds somebody else's decision and leaves it: the edit counts as there already.
type Kept string

func (k Kept) Error() string { return string(k) }

// Apply makes edits in the tree, file by file. A file is written once, with its owner and mode, or not at all. The error joins
// the impossible ones; the results are complete in any case and in the order of the edits.
func Apply(root *tree.FS, edits []Edit) ([]Result, error) {
	results := make([]Result, len(edits))
	var paths []string
	var errs []error
	for _, e := range edits {
		if !slices.Contains(paths, e.Path) {
			paths = append(paths, e.Path)
		}
	}
	for _, p := range paths {
		errs = append(errs, applyFile(root, p, edits, results))
	}
	return results, errors.Join(errs...)
}

// applyFile makes all edits of one file.
func applyFile(root *tree.FS, file string, edits []Edit, results []Result) error {
	var before, data []byte
	mode, read := fs.FileMode(0), false
	var bad error
	for i, e := range edits {
		if e.Path != file {
			continue
		}
		results[i] = Result{Name: e.Name, Path: file}
		if e.Link != "" {
			bad = errors.Join(bad, e.link(root, &results[i]))
			continue
		}
		if e.When != "" && !root.Exists(e.When) {
			results[i].State, results[i].Why = NotNeeded, "no "+e.When
			continue
		}
		var err error
		if !read {
			before, err = readOr(root, e)
			data, read = before, err == nil
		}
		mode = max(mode, e.Create)
		if err == nil {
			data, err = e.change(data, &results[i])
		}
		if err != nil {
			results[i].State, results[i].Why = Impossible, err.Error()
			bad = errors.Join(bad, fmt.Errorf("cannot edit %s: %s: %w", file, e.Name, err))
		}
	}
	if bad == nil && read && (before == nil || !bytes.Equal(before, data)) {
		bad = errors.Join(root.MkdirAll(path.Dir(file), 0o755), root.WriteFile(file, data, mode))
	}
	if bad != nil {
		holdBack(results, file)
	}
	return bad
}

// link makes a symbolic link where nothing is. Anything else that is there was put there by somebody.
func (e Edit) link(root *tree.FS, r *Result) error {
	now, err := root.ReadLink(e.Path)
	switch {
	case err == nil && now == e.Link:
		r.State = Already
		return nil
	case errors.Is(err, fs.ErrNotExist):
		err = errors.Join(root.MkdirAll(path.Dir(e.Path), 0o755), root.Symlink(e.Link, e.Path))
	case err == nil:
		err = fmt.Errorf("it leads to %s", now)
	}
	if err == nil {
		r.State = Changed
		return nil
	}
	r.State, r.Why = Impossible, err.Error()
	return fmt.Errorf("cannot link %s to %s: %w", e.Path, e.Link, err)
}

// change makes one edit and notes its state.
func (e Edit) change(data []byte, r *Result) ([]byte, error) {
	out, err := e.Change(data)
	var kept Kept
	switch {
	case errors.As(err, &kept):
		r.State, r.Why = Already, string(kept)
		return data, nil
	case err != nil:
		return data, err
	case bytes.Equal(out, data) && data != nil:
		r.State = Already
	default:
		r.State = Changed
	}
	return out, nil
}

func readOr(root *tree.FS, e Edit) ([]byte, error) {
	data, err := root.ReadFile(e.Path)
	if errors.Is(err, fs.ErrNotExist) && e.Create != 0 {
		return nil, nil
	}
	return data, err
}

func holdBack(results []Result, file string) {
	for i := range results {
		if results[i].Path == file && results[i].State == Changed {
			results[i].State, results[i].Why = HeldBack, "another edit of this file is impossible"
		}
	}
}
