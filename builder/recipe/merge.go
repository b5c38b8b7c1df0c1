package recipe

import (
	"cmp"
	"slices"
	"time"

	"goldsmith/firstboot/identity"
)

// merge puts child over parent: single values replace, lists grow, and a layer, file or step that has the name of one of
// the parent's takes its place.
func merge(parent, child *Recipe) *Recipe {
	p, c := parent, child
	return &Recipe{
		Name:        c.Name,
		Description: cmp.Or(c.Description, p.Description),
		Extends:     c.Extends,
		Base:        mergeBase(p.Base, c.Base),
		Archives:    replace(p.Archives, c.Archives, func(a Archive) string { return a.Name }),
		Debconf:     grow(p.Debconf, c.Debconf),
		Packages:    grow(p.Packages, c.Packages),
		Layers:      replace(p.Layers, c.Layers, func(g Layer) string { return g.Name }),
		Files:       replace(p.Files, c.Files, func(f File) string { return f.Path }),
		Boot:        Boot{Target: cmp.Or(c.Boot.Target, p.Boot.Target), Timeout: cmp.Or(c.Boot.Timeout, p.Boot.Timeout)},
		VM:          mergeVM(p.VM, c.VM),
		Steps:       replace(p.Steps, c.Steps, func(s Step) string { return s.Name }),
		Services: Services{
			Enable:  grow(p.Services.Enable, c.Services.Enable),
			Disable: grow(p.Services.Disable, c.Services.Disable),
			Mask:    grow(p.Services.Mask, c.Services.Mask),
		},
		Stacks:   grow(p.Stacks, c.Stacks),
		Identity: mergeIdentity(p.Identity, c.Identity),
		Seal:     Seal{Enable: grow(p.Seal.Enable, c.Seal.Enable), Disable: grow(p.Seal.Disable, c.Seal.Disable)},
		Audit:    Audit{Accept: replace(p.Audit.Accept, c.Audit.Accept, func(a Accept) string { return a.Path })},
		Disk:     Disk{Size: cmp.Or(c.Disk.Size, p.Disk.Size)},
		Proof:    Proof{Skip: c.Proof.Skip || p.Proof.Skip, Timeout: cmp.Or(c.Proof.Timeout, p.Proof.Timeout)},
	}
}

func mergeBase(p, c Base) Base {
	out := Base{
		Distribution: cmp.Or(c.Distribution, p.Distribution),
		Suite:        cmp.Or(c.Suite, p.Suite),
		Architecture: cmp.Or(c.Architecture, p.Architecture),
		Mirror:       cmp.Or(c.Mirror, p.Mirror),
		Components:   grow(p.Components, c.Components),
		Packages:     grow(p.Packages, c.Packages),
		Image:        cmp.Or(c.Image, p.Image),
	}
	return out
}

func mergeIdentity(p, c Identity) Identity {
	return Identity{
		Hostname:        cmp.Or(c.Hostname, p.Hostname),
		Endpoints:       cmp.Or(c.Endpoints, p.Endpoints),
		KeepSecrets:     grow(p.KeepSecrets, c.KeepSecrets),
		PublicInterface: cmp.Or(c.PublicInterface, p.PublicInterface),
		LeaseTimeout:    cmp.Or(c.LeaseTimeout, p.LeaseTimeout),
		Disk:            cmp.Or(c.Disk, p.Disk),
		Optional:        grow(p.Optional, c.Optional),
	}
}

// grow appends what is not there yet.
func grow(p, c []string) []string {
	out := slices.Clone(p)
	for _, v := range c {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// replace appends items, or puts them in the place of those of the same name.
func replace[T any](p, c []T, name func(T) string) []T {
	out := slices.Clone(p)
	for _, item := range c {
		i := slices.IndexFunc(out, func(o T) bool { return name(o) == name(item) })
		if i < 0 {
			out = append(out, item)
		} else {
			out[i] = item
		}
	}
	return out
}

// setDefaults fills in what the schema's texts promise.
func (r *Recipe) setDefaults() {
	if r.Base.Image == "" {
		r.Base.Distribution = cmp.Or(r.Base.Distribution, "debian")
		r.Base.Architecture = cmp.Or(r.Base.Architecture, "amd64")
		if len(r.Base.Components) == 0 {
			r.Base.Components = []string{"main"}
		}
	}
	r.setVMDefaults()
	r.setArchiveDefaults()
	r.Boot.Target = cmp.Or(r.Boot.Target, "multi-user.target")
	r.Identity.Hostname = cmp.Or(r.Identity.Hostname, identity.HostnameFromMAC)
	r.Identity.Endpoints = cmp.Or(r.Identity.Endpoints, identity.AllEndpoints)
	r.Identity.LeaseTimeout = cmp.Or(r.Identity.LeaseTimeout, identity.Duration(2*time.Minute))
	r.Proof.Timeout = cmp.Or(r.Proof.Timeout, identity.Duration(10*time.Minute))
	for i := range r.Files {
		r.Files[i].Mode = cmp.Or(r.Files[i].Mode, 0o644)
		r.Files[i].Owner = cmp.Or(r.Files[i].Owner, "root")
	}
	for i := range r.Steps {
		r.Steps[i].Timeout = cmp.Or(r.Steps[i].Timeout, identity.Duration(15*time.Minute))
		if o := r.Steps[i].OpenStack; o != nil {
			o.setDefaults()
		}
	}
}

func (o *OpenStack) setDefaults() {
	o.Region = cmp.Or(o.Region, "RegionOne")
	o.Workers = cmp.Or(o.Workers, 1)
}
