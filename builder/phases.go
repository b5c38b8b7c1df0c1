package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"goldsmith/builder/base"
	"goldsmith/builder/install"
	"goldsmith/builder/layer"
	"goldsmith/builder/recipe"
	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// Phases lists the phases of this job in their order.
func (j *Job) Phases() []Phase {
	list := []Phase{{Name: "check", Short: "is everything here that a bake needs", Run: check}}
	onDisk := j.Recipe.UsesVM()
	if onDisk {
		list = append(list, j.virtualPhases()...)
	} else {
		list = append(append(list, j.treePhases()...),
			Phase{Name: "configure", Short: "write files, boot under the marker identity, run the steps", Inputs: configureInputs, Run: configure})
	}
	return append(list,
		Phase{Name: "firstboot", Short: "put in the imprint, firstboot and its units", Disk: onDisk, Inputs: firstbootInputs, Run: putFirstboot},
		Phase{Name: "seal", Short: "forget what must not be cloned", Disk: onDisk, Inputs: sealInputs, Run: sealTree},
		Phase{Name: "image", Short: "make the disk image and the golden tree", Skip: isDone, Run: makeImage},
		Phase{Name: "audit", Short: "find every place where the baked identity stands; each must have an owner", Skip: isDone, Run: auditTree},
		Phase{Name: "manifest", Short: "write down what is inside", Skip: isDone, Run: writeManifest},
		Phase{Name: "proof", Short: "boot a clone as somebody else and look whether it became itself", Skip: noProof, Run: prove},
		Phase{Name: "publish", Short: "give the image its name", Skip: isDone, Run: publish},
	)
}

// treePhases make the system of packages.
func (j *Job) treePhases() []Phase {
	list := []Phase{
		{Name: "base", Short: "bootstrap the system from packages", Inputs: baseInputs, Run: bootstrap, Trim: keepBaseDebs},
	}
	list = append(list, j.archivesPhase()...)
	for _, g := range j.Recipe.Groups() {
		list = append(list, packages(g))
	}
	return list
}

// note is what a layer remembers of its making.
func (j *Job) note(p Phase, took time.Duration) (layer.Note, error) {
	n := layer.Note{Phase: p.Name, Image: j.Name, Made: time.Now().UTC().Truncate(time.Second), Took: took}
	if j.extra == nil {
		return n, nil
	}
	b, err := json.Marshal(j.extra)
	n.Extra = b
	return n, err
}

func baseInputs(j *Job) any { return j.Recipe.Base }

// bootstrap makes the base, and the marker's names in place of this host's, which mmdebstrap copies.
func bootstrap(ctx context.Context, j *Job) error {
	err := base.Bootstrap(ctx, base.Options{
		Base: j.Recipe.Base, Root: j.root, Debs: j.Home.baseDebs(), Log: j.log,
		Wait: func(what string) { j.wait(what, 0, 0) },
	})
	if err != nil {
		return err
	}
	return j.inTree(ctx, func(root *tree.FS) error { return install.PutIdentity(root, identity.Marker()) })
}

func keepBaseDebs(j *Job, upper string) error { return base.Keep(upper, j.Home.baseDebs()) }

// inTree opens the tree of the phase, or the disk, for do.
func (j *Job) inTree(ctx context.Context, do func(*tree.FS) error) error {
	if j.root == "" {
		return j.inDisk(ctx, do)
	}
	root, err := tree.Open(j.root)
	if err != nil {
		return err
	}
	defer root.Close()
	return do(root)
}

// packages is the phase of one group.
func packages(g recipe.Layer) Phase {
	return Phase{
		Name:   "packages:" + g.Name,
		Short:  fmt.Sprintf("install %d packages and what they need", len(g.Packages)),
		Inputs: func(*Job) any { return g },
		Run: func(ctx context.Context, j *Job) error {
			dir, err := os.MkdirTemp(j.Home.Layers().Dir, ".apt-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			l, err := j.Home.lockWait(ctx, "debs", func(e error) { j.wait("another bake uses the packages", 0, 0) })
			if err != nil {
				return err
			}
			defer l.release()
			return install.Apt{Spec: j.spec(), Debs: j.Home.Debs(), Dir: dir, Log: j.log, Wait: j.wait, Group: g}.Install(ctx)
		},
	}
}

func configureInputs(j *Job) any {
	r := j.Recipe
	return []any{r.Files, r.Boot, r.Steps, r.Services, identity.Marker(), install.Revision}
}

// configure runs the recipe in the booted machine.
func configure(ctx context.Context, j *Job) error {
	c := install.Configuration{Recipe: j.Recipe, Spec: j.spec(), Identity: identity.Marker(), Log: j.log, Wait: j.wait}
	return c.Run(ctx)
}

// sealInputs has the names of all operations that run, so that a new one makes a new layer.
func sealInputs(j *Job) any {
	ops, _ := seal.Choose(j.Recipe.Seal.Enable, j.Recipe.Seal.Disable) // names were checked with the recipe
	return seal.Names(ops)
}

func sealTree(ctx context.Context, j *Job) error {
	ops, err := seal.Choose(j.Recipe.Seal.Enable, j.Recipe.Seal.Disable)
	if err != nil {
		return err
	}
	var done []SealLine
	err = j.inTree(ctx, func(root *tree.FS) error {
		for i, op := range ops {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			j.wait(op.Name, int64(i), int64(len(ops)))
			r, err := seal.Run(root, op, false)
			if err != nil {
				return err
			}
			if len(r.Paths) > 0 {
				done = append(done, SealLine{Operation: op.Name, Paths: r.Paths})
			}
		}
		return nil
	})
	j.extra = done
	return err
}

// sweep removes what an interrupted bake of this image has left, but an image that only lacks its proof.
func (j *Job) sweep(ctx context.Context) error {
	err := errors.Join(layer.RemoveTree(j.runDir()), j.Home.Checkpoints().Sweep(j.Name+"@"), removeFile(j.Home.Log(j.Name, "console")))
	dirs, globbed := filepath.Glob(filepath.Join(j.Home.Layers().Dir, ".apt-*"))
	for _, d := range dirs {
		if l, busy := j.Home.lock("debs"); busy == nil {
			err = errors.Join(err, os.RemoveAll(d))
			l.release()
		}
	}
	if j.Prover != nil {
		err = errors.Join(err, j.Prover.Forget(ctx, j.Home.staging(j.Name)))
	}
	return errors.Join(err, globbed, layer.RemoveTree(filepath.Join(j.Home.staging(j.Name), RootDir+".part")))
}

func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
