package builder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"goldsmith/builder/audit"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// An Ownership tells whose the places of a tree are, in which the machine of an imprint was baked.
type Ownership func(ctx context.Context, root *tree.FS, imp identity.Imprint) (func(audit.Hit) string, error)

// maxUnowned is how many places an error lists; the manifest has all of them.
const maxUnowned = 10

// auditTree searches the golden tree for the identity under which it was baked, and writes every place into the manifest with
// its owner. A place that nobody owns would be the same on all clones: such an image is not published.
func auditTree(ctx context.Context, j *Job) error {
	dir := j.Home.staging(j.Name)
	root, err := tree.Open(filepath.Join(dir, RootDir))
	if err != nil {
		return err
	}
	defer root.Close()
	imp := j.imprint()
	o := audit.Options{
		Needles:  audit.Needles(imp.Baked),
		Progress: func(n int64) { j.wait("search", n, max(j.manifest.Disk.Bytes, n)) },
	}
	for _, a := range j.Recipe.Audit.Accept {
		o.Accept = append(o.Accept, audit.Acceptance{Path: a.Path, Why: a.Why})
	}
	if j.Owners != nil {
		if o.Owner, err = j.Owners(ctx, root, imp); err != nil {
			return err
		}
	}
	j.manifest.Audit, err = audit.Tree(ctx, root, o)
	if err != nil {
		return err
	}
	for _, a := range j.manifest.Audit.Unused {
		j.tell(Note, fmt.Sprintf("audit.accept: nothing that needs it is at %s (any more)", a.Path), 0)
	}
	if err := writeJSON(filepath.Join(dir, ManifestFile), j.manifest); err != nil {
		return err
	}
	return errors.Join(j.unowned(dir), root.Close())
}

// unowned makes the error of the places that nobody owns.
func (j *Job) unowned(dir string) error {
	var lines []string
	hits := j.manifest.Audit.Unowned()
	for _, h := range hits {
		if l := fmt.Sprintf("%s (%s %s, %s)", h.Place(), h.Kind, h.Value, h.Encoding); !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if n := len(lines) - maxUnowned; n > 0 {
		lines = append(lines[:maxUnowned], fmt.Sprintf("and %d more", n))
	}
	return report.Faultf(report.Unverified, "the baked identity stands in %d places that no rewriter changes and no seal forgets:\n  %s",
		len(hits), strings.Join(lines, "\n  ")).
		WithHint("let the recipe accept what is harmless: audit: {accept: [{path: %s, why: ...}]}", hits[0].Path).
		WithHint("all places: %s", filepath.Join(dir, ManifestFile))
}
