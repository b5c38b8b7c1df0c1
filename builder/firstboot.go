package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"time"

	"goldsmith/builder/implant"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
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
		Format: identity.ImprintFormat, Image: j.Name, Recipe: j.Recipe.Digest(), Baked: j.baked(),
		Stacks: append([]string{}, j.Recipe.Stacks...), Policy: j.Recipe.Policy(),
	}
}

// putFirstboot puts the second trade into the tree.
func putFirstboot(ctx context.Context, j *Job) error {
	i := implant.Implant{Binary: j.Firstboot, Units: j.Units, Imprint: j.imprint()}
	i.Imprint.Made = time.Now().UTC().Truncate(time.Second)
	return j.inTree(ctx, func(root *tree.FS) error {
		_, err := i.Put(root)
		return err
	})
}
