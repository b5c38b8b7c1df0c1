package main

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"goldsmith/builder"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/vlan"
)

// A prover judges an image by a clone of it. Its bench is a scratch folder in the image's own, so that the trial clone is
// on nobody's list and goes away with it.
type prover struct{}

// trial is the name of the fleet of one.
const trial = "proof"

// Prove implements builder.Prover: one clone, with another name, MAC and address than the golden machine; it must become
// itself, and all probes from outside must say so.
func (prover) Prove(ctx context.Context, p builder.ProofRequest) (res builder.ProofResult, err error) {
	bench := fleet.Bench{Home: filepath.Join(p.Dir, trial)}
	if err := endTrial(ctx, bench.Home); err != nil {
		return res, err
	}
	if err := os.Mkdir(bench.Home, 0o700); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, endTrial(context.WithoutCancel(ctx), bench.Home)) }()
	p.Wait("a clone to boot")
	_, err = bench.Spawn(ctx, fleet.Order{
		Name: trial, Image: driver.Image{Name: p.Name, Root: p.Root, Disk: p.Disk}, Count: 1, Driver: driver.Nspawn{},
		Lab: vlan.NewLab(trial, netip.MustParsePrefix(vlan.DefaultSubnet), ""),
	}, func(string) {})
	if err != nil {
		return res, err
	}
	res.Driver = driver.Nspawn{}.Name()
	p.Wait("the clone to become itself")
	standings, why := bench.Wait(ctx, trial, p.Timeout, func(fleet.Standing) {})
	for _, s := range standings {
		if s.Report != nil {
			res.Reports = append(res.Reports, *s.Report)
		}
	}
	if why == nil {
		p.Wait("answers from outside")
		_, why = bench.Verify(ctx, trial, p.Timeout, nil)
	}
	if ctx.Err() != nil {
		return res, ctx.Err()
	}
	if res.Passed = why == nil; !res.Passed {
		res.Why = why.Error()
	}
	return res, nil
}

// Forget implements builder.Prover.
func (prover) Forget(ctx context.Context, dir string) error {
	return endTrial(ctx, filepath.Join(dir, trial))
}

// endTrial removes the trial clone and its bench, whatever state they are in.
func endTrial(ctx context.Context, home string) error {
	if _, err := os.Stat(home); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	bench := fleet.Bench{Home: home}
	states, err := bench.Fleets()
	for _, s := range states {
		err = errors.Join(err, bench.Remove(ctx, s.Name, 0))
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(home)
}

// inUse lists the clones that stand on an image of this bench: their overlays would lose the ground.
func inUse(home, image string) ([]string, error) {
	states, err := fleet.Bench{Home: home}.Fleets()
	var out []string
	for _, s := range states {
		if s.Image.Root == filepath.Join(builder.Home{Dir: home}.Image(image), builder.RootDir) {
			for _, c := range s.Clones {
				out = append(out, c.Name)
			}
		}
	}
	slices.Sort(out)
	return out, err
}
