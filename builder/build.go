// Package builder bakes golden images. Phases is the whole story: one list, walked in order with a typed *Job. Each phase
// either makes a layer of the tree, which is cached by a digest of all that went into it, or makes something of all
// layers: the disk image, the manifest, the proof. A bake that was stopped goes on with the phase that it stopped in.
//
// The package must run in namespaces of its own: see goldsmith/builder/isolate.
package builder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"goldsmith/builder/machine"
	"goldsmith/firstboot/report"
)

// A Phase is one step of the road from recipe to image.
type Phase struct {
	Name  string
	Short string // what it does, for --plan
	// Inputs makes the phase a layer: what goes into it beside the layers below. Two equal inputs make one layer.
	Inputs func(*Job) any
	// Disk says that the phase changes the disks of a virtual machine: its layer is a checkpoint of them.
	Disk bool
	// Skip says why the phase is not wanted; "" means it is. It may be nil.
	Skip func(*Job) string
	Run  func(context.Context, *Job) error
	// Trim gets the directory of the layer's changes when nothing is mounted any more. It may be nil.
	Trim func(*Job, string) error
}

// Build walks the phases. On any error nothing is left running or mounted, the image keeps the state that it had before,
// and the next Build continues.
func Build(ctx context.Context, j *Job) (err error) {
	l, err := j.Home.lock("image-" + j.Name)
	if errors.Is(err, errBusy) {
		return report.Faultf(report.Usage, "cannot bake %s: %w", j.Name, err).
			WithHint("wait for it, or bake under another name: --name %s-2", j.Name)
	}
	if err != nil {
		return err
	}
	defer l.release()
	if err := errors.Join(machine.RemoveGroups(), j.sweep(ctx)); err != nil {
		return fmt.Errorf("cannot remove what an earlier bake left: %w", err)
	}
	defer func() { err = errors.Join(err, j.endMachine()) }()
	for _, p := range j.Phases() {
		if err := j.walk(ctx, p); err != nil {
			return err
		}
		if j.stops(p) {
			return nil
		}
	}
	return nil
}

// walk does one phase and tells about it.
func (j *Job) walk(ctx context.Context, p Phase) error {
	j.phase = p.Name
	if why := p.skip(j); why != "" {
		j.tell(Skipped, why, 0)
		return nil
	}
	start := time.Now()
	j.tell(Begin, p.Short, 0)
	log, err := j.openLog(p.Name)
	if err != nil {
		return err
	}
	defer log.Close()
	cached := false
	switch {
	case p.Disk:
		cached, err = j.makeCheckpoint(ctx, p)
	case p.Inputs != nil:
		cached, err = j.makeLayer(ctx, p)
	default:
		err = p.Run(ctx, j)
	}
	took := time.Since(start)
	if err != nil {
		return j.failed(ctx, p, err, took)
	}
	if !cached {
		j.record = append(j.record, PhaseTime{Phase: p.Name, Took: took})
		j.tell(End, "", took)
	}
	return nil
}

func (p Phase) skip(j *Job) string {
	if p.Skip == nil {
		return ""
	}
	return p.Skip(j)
}

// failed turns the error of a phase into what the user sees.
func (j *Job) failed(ctx context.Context, p Phase, err error, took time.Duration) error {
	if ctx.Err() != nil {
		j.tell(Failed, "stopped", took)
		return report.Faultf(report.Stopped, "bake of %s stopped in phase %s", j.Name, p.Name).
			WithHint("the same command continues where it stopped")
	}
	j.tell(Failed, err.Error(), took)
	if code := report.CodeOf(err); code != report.Internal && code != report.Stopped {
		return err
	}
	return report.Faultf(report.Stopped, "cannot bake %s: phase %s: %w", j.Name, p.Name, err).
		WithHint("all output of the phase: %s", j.Home.Log(j.Name, p.Name)).
		WithHint("the same command continues with this phase")
}

// stops says whether the user wanted no more than p. "packages" names all its groups, "step" all steps.
func (j *Job) stops(p Phase) bool {
	if j.Until == "" || j.Until == p.Name {
		return j.Until != ""
	}
	if !strings.HasPrefix(p.Name, j.Until+":") {
		return false
	}
	last := ""
	for _, q := range j.Phases() {
		if strings.HasPrefix(q.Name, j.Until+":") {
			last = q.Name
		}
	}
	return p.Name == last
}

// makeLayer finds the layer of a phase or makes it.
func (j *Job) makeLayer(ctx context.Context, p Phase) (cached bool, err error) {
	key, store := j.key(p.Name, p.Inputs(j)), j.Home.Layers()
	l, err := j.Home.lockWait(ctx, "layer-"+key, func(e error) {
		j.wait("another bake makes the same layer"+strings.TrimPrefix(e.Error(), errBusy.Error()), 0, 0)
	})
	if err != nil {
		return false, err
	}
	defer l.release()
	if note, ok := store.Find(key); ok {
		if !j.Fresh {
			j.layers = append(j.layers, key)
			j.record = append(j.record, PhaseTime{Phase: p.Name, Took: note.Took, Cached: true})
			j.tell(Cached, "", note.Took)
			return true, nil
		}
		if err := store.Remove(key); err != nil {
			return false, err
		}
	}
	if err := j.draft(ctx, p, key); err != nil {
		return false, err
	}
	j.layers = append(j.layers, key)
	return false, nil
}

// draft makes a layer.
func (j *Job) draft(ctx context.Context, p Phase, key string) (err error) {
	start := time.Now()
	d, err := j.Home.Layers().Draft(key, j.layers)
	if d != nil {
		defer func() {
			if err != nil {
				err = errors.Join(err, d.Discard())
			}
		}()
	}
	if err != nil {
		return err
	}
	j.root, j.extra = d.Root, nil
	if err := p.Run(ctx, j); err != nil {
		return err
	}
	trim := func(upper string) error {
		if p.Trim == nil {
			return nil
		}
		return p.Trim(j, upper)
	}
	note, err := j.note(p, time.Since(start))
	if err != nil {
		return err
	}
	return d.Commit(note, trim)
}
