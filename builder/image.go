package builder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk"
	"goldsmith/builder/layer"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// imageKey digests all that makes the image.
func (j *Job) imageKey() string {
	return j.key("image", []any{j.Recipe.Disk, j.Recipe.Digest()})
}

// makeImage makes the disk image and the golden tree in the staging folder. What is there of the same key is kept: the
// bake was stopped after it.
func makeImage(ctx context.Context, j *Job) error {
	dir := j.Home.staging(j.Name)
	if m, err := readManifest(dir); err == nil && m.Key == j.imageKey() && !j.Fresh {
		j.manifest = m
		return nil
	}
	if err := layer.RemoveTree(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return fmt.Errorf("cannot make folder of image: %w", err)
	}
	make := j.makeFromLayers
	if len(j.disks) > 0 {
		make = j.makeFromDisks
	}
	m, err := make(ctx, dir)
	if err != nil {
		return errors.Join(err, layer.RemoveTree(dir))
	}
	m.Format, m.Name, m.Key = manifestFormat, j.Name, j.imageKey()
	j.manifest = m
	return writeJSON(filepath.Join(dir, ManifestFile), j.manifest)
}

// makeFromLayers makes disk and tree of a bake without a virtual machine.
func (j *Job) makeFromLayers(ctx context.Context, dir string) (*Manifest, error) {
	made, err := j.makeDisk(ctx, dir)
	if err != nil {
		return nil, err
	}
	j.wait("golden tree", 0, 0)
	return &Manifest{Disk: made}, j.makeRoot(ctx, dir)
}

// makeDisk makes the qcow2 of a view of all layers, which costs no second copy of them.
func (j *Job) makeDisk(ctx context.Context, dir string) (made disk.Made, err error) {
	err = j.viewLayers(dir, func(view string) error {
		made, err = disk.Make(ctx, disk.MakeOptions{
			Tree: view, Out: filepath.Join(dir, ImageFile), Size: int64(j.Recipe.Disk.Size), NoBoot: !bootable(view),
			Progress: func(p disk.Progress) { j.wait(p.Phase, p.Done, p.Total) },
		})
		return err
	})
	return made, err
}

// bootable says whether the tree has a kernel. One without is for systemd-nspawn only.
func bootable(root string) bool {
	kernels, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	return err == nil && len(kernels) > 0
}

func (j *Job) makeRoot(ctx context.Context, dir string) error {
	part := filepath.Join(dir, RootDir+".part")
	if err := j.Home.Layers().Flatten(ctx, j.layers, part); err != nil {
		return errors.Join(err, layer.RemoveTree(part))
	}
	return os.Rename(part, filepath.Join(dir, RootDir))
}

// writeManifest completes the manifest.
func writeManifest(_ context.Context, j *Job) error {
	r, m := j.Recipe, j.manifest
	m.Description, m.Recipe, m.Goldsmith, m.Stacks = r.Description, r.Digest(), j.Version, r.Stacks
	m.Made, m.Accelerator, m.Phases = time.Now().UTC().Truncate(time.Second), cmp.Or(j.accel, "none"), j.record
	if m.Disk.Path != "" {
		m.Disk.Path = ImageFile // beside the manifest, wherever that is carried
	}
	if n := j.lastNote(); n.Extra != nil {
		if err := json.Unmarshal(n.Extra, &m.Sealed); err != nil {
			return fmt.Errorf("cannot read what was sealed: %w", err)
		}
	}
	root, err := tree.Open(filepath.Join(j.Home.staging(j.Name), RootDir))
	if err != nil {
		return err
	}
	defer root.Close()
	if m.Packages, err = installedPackages(root); err != nil {
		return err
	}
	return writeJSON(filepath.Join(j.Home.staging(j.Name), ManifestFile), m)
}

// isDone is why nothing need be done.
func isDone(j *Job) string {
	if j.done {
		return "the image is there already, made of the same"
	}
	return ""
}

// findDone looks whether the published image is made of just what this bake would make it of, and proven if that is wanted.
func (j *Job) findDone() {
	defer j.mark()()
	for _, p := range j.Phases() {
		if p.Inputs == nil {
			continue
		}
		key := j.key(p.Name, p.Inputs(j))
		if _, ok := j.find(p, key); !ok {
			return
		}
		j.pass(p, key)
	}
	m, err := j.Home.ReadManifest(j.Name)
	if err != nil { // none, or one that we do not know: it is made anew
		return
	}
	j.done = !j.Fresh && m.Key == j.imageKey() && (m.Proof.Passed || noProof(j) != "")
}

func noProof(j *Job) string {
	switch {
	case j.done:
		return isDone(j)
	case j.NoProof:
		return "not wanted (--no-proof)"
	case j.Recipe.Proof.Skip:
		return "not wanted by the recipe"
	case j.Prover == nil:
		return "no driver on this host can run a clone"
	}
	return ""
}

// prove lets the prover judge the image and writes its verdict into the manifest. An image that fails is not published.
func prove(ctx context.Context, j *Job) error {
	dir := j.Home.staging(j.Name)
	start := time.Now()
	res, err := j.Prover.Prove(ctx, ProofRequest{
		Name: j.Name, Dir: dir, Root: filepath.Join(dir, RootDir), Disk: filepath.Join(dir, ImageFile),
		Timeout: time.Duration(j.Recipe.Proof.Timeout), Wait: func(what string) { j.wait(what, 0, 0) },
	})
	if err != nil {
		return err
	}
	res.Took = time.Since(start)
	j.manifest.Proof = res
	j.manifest.Phases = append(j.record, PhaseTime{Phase: "proof", Took: res.Took})
	if err := writeJSON(filepath.Join(dir, ManifestFile), j.manifest); err != nil {
		return err
	}
	if !res.Passed {
		return report.Faultf(report.Unverified, "image %s did not pass its proof: %s", j.Name, res.Why).
			WithHint("the clone's report stands in %s", filepath.Join(dir, ManifestFile)).
			WithHint("publish it without proof, to look inside: add --no-proof")
	}
	return nil
}

// publish swaps the new image with the one that had the name, in one step, and then removes the old one.
func publish(_ context.Context, j *Job) error {
	from, to := j.Home.staging(j.Name), j.Home.Image(j.Name)
	if err := j.checkUse(); err != nil { // clones may have been made meanwhile
		return err
	}
	if why := noProof(j); why != "" {
		j.manifest.Proof = ProofResult{Why: why}
		if err := writeJSON(filepath.Join(from, ManifestFile), j.manifest); err != nil {
			return err
		}
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		return layer.RemoveTree(from)
	case errors.Is(err, fs.ErrNotExist):
		err = os.Rename(from, to)
	}
	if err != nil {
		return fmt.Errorf("cannot publish image: %w", err)
	}
	return nil
}

// ReadManifest reads the manifest of a published image.
func (h Home) ReadManifest(name string) (*Manifest, error) { return readManifest(h.Image(name)) }

func readManifest(dir string) (*Manifest, error) {
	b, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("cannot read manifest: %w", err)
	}
	if m.Format != manifestFormat {
		return nil, fmt.Errorf("cannot read manifest: format %d is not known, only %d", m.Format, manifestFormat)
	}
	return m, nil
}
