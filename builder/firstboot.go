package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/templates"
)

// firstbootInputs has the binary's digest and the units: a new firstboot makes a new layer, and nothing below it.
func firstbootInputs(j *Job) any {
	units, err := templates.Units(j.Units)
	if err != nil {
		panic("embedded units cannot be read: " + err.Error()) // impossible: they are in this binary
	}
	return []any{j.Name, j.Recipe.Digest(), fileDigest(j.Firstboot), units, j.imprint()}
}

// fileDigest is the sha256 of a file, or "" when it cannot be read; the check phase has refused that.
func fileDigest(name string) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// imprint says who the image is. The time is added when it is written: it must not make a layer new.
func (j *Job) imprint() identity.Imprint {
	return identity.Imprint{
		Format: identity.ImprintFormat, Image: j.Name, Recipe: j.Recipe.Digest(), Baked: identity.Marker(),
		Stacks: append([]string{}, j.Recipe.Stacks...), Policy: j.Recipe.Policy(),
	}
}

// putFirstboot puts the second trade into the tree.
func putFirstboot(_ context.Context, j *Job) error {
	units, err := templates.Units(j.Units)
	if err != nil {
		return err
	}
	imprint := j.imprint()
	imprint.Made = time.Now().UTC().Truncate(time.Second)
	data, err := json.MarshalIndent(imprint, "", "  ")
	if err != nil {
		return err
	}
	files := append(units, templates.File{Path: identity.ImprintFile, Data: append(data, '\n'), Mode: 0o600})
	return j.inTree(func(root *tree.FS) error {
		if err := putBinary(root, j.Firstboot); err != nil {
			return err
		}
		for _, f := range files {
			if err := putTemplate(root, f); err != nil {
				return fmt.Errorf("cannot write %s: %w", f.Path, err)
			}
		}
		return root.MkdirAll(identity.StateDir, 0o700)
	})
}

func putBinary(root *tree.FS, from string) error {
	f, err := os.Open(from)
	if err != nil {
		return report.Faultf(report.Usage, "cannot read firstboot: %w", err).WithHint("make bin")
	}
	defer f.Close()
	if err := root.MkdirAll(path.Dir(identity.Binary), 0o755); err != nil {
		return err
	}
	if err := root.WriteFrom(identity.Binary, f, 0o755); err != nil {
		return fmt.Errorf("cannot put in firstboot: %w", err)
	}
	return nil
}

func putTemplate(root *tree.FS, f templates.File) error {
	if err := root.MkdirAll(path.Dir(f.Path), 0o755); err != nil {
		return err
	}
	if f.Link == "" {
		return root.WriteFile(f.Path, f.Data, f.Mode)
	}
	return errors.Join(root.Remove(f.Path), root.Symlink(f.Link, f.Path))
}
