package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

// A trialRun is what firstboot would do to a clone of an image, as far as files alone show it.
type trialRun struct {
	Changes []plan.Change `json:"changes"`
	Notes   []plan.Note   `json:"notes,omitempty"`
	Unseen  []string      `json:"unseen,omitempty"` // rewriters that need a server which runs only on the clone
}

// runTrial asks every rewriter of an imprint about a tree, for a clone that shares nothing with the machine. What a
// rewriter refuses is an error: each clone would stop at it.
func runTrial(ctx context.Context, root *tree.FS, imp identity.Imprint) (*trialRun, error) {
	t, errs := try(ctx, root, imp, true)
	errs = append(errs, (&plan.Plan{Changes: t.Changes}).Check())
	for _, n := range t.Notes {
		if n.Bad {
			errs = append(errs, fmt.Errorf("%s: %s", n.What, n.Why))
		}
	}
	for i, c := range t.Changes {
		t.Changes[i] = c.Masked()
	}
	if err := errors.Join(errs...); err != nil {
		return t, report.Faultf(report.Refused, "cannot adopt, for no clone could become itself: %w", err)
	}
	return t, nil
}

// try asks the rewriters one by one. The changes of those that refuse, or that cannot ask a server, are as many as they came
// to; rekey asks for new secrets, too.
func try(ctx context.Context, root *tree.FS, imp identity.Imprint, rekey bool) (*trialRun, []error) {
	t := &trialRun{}
	list, err := rewriters.Select(imp.Stacks)
	if err != nil {
		return t, []error{&report.Fault{Code: report.Refused, Err: err}}
	}
	// By our own process id: ovsdb-tool, a child, opens the path as well.
	h, err := host.Open(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), root.Fd()), host.Options{})
	if err != nil {
		return t, []error{err}
	}
	defer h.Close()
	var errs []error
	to := stranger(imp.Baked)
	for _, r := range list {
		s := rewriters.NewScene(r.Phase, rewriters.Old{imp.Baked}, imp.Baked, to, imp.Policy, h, make(rewriters.Seed, 32))
		s.Rekey = rekey
		p, err := rewriters.Run(ctx, s, []rewriters.Rewriter{r})
		refused, unseen := sortFaults(err)
		errs = append(errs, refused...)
		if unseen {
			t.Unseen = append(t.Unseen, r.Name)
		}
		t.Changes = append(t.Changes, p.Changes...)
		t.Notes = append(t.Notes, p.Notes...)
	}
	return t, errs
}

// stranger is an identity that has nothing in common with the machine: another address (TEST-NET-3, RFC 5737), other
// MACs, and a name that begins with the old one, which is where careless replacements go wrong.
func stranger(baked identity.Identity) identity.Identity {
	to := identity.Identity{
		Hostname: baked.Hostname + "x", Domain: baked.Domain, Interface: baked.Interface, Address: netip.AddrFrom4([4]byte{203, 0, 113, 77}),
		PrefixLen: 24, MachineID: "547269616c206f6620616e20696d6167", BaseMAC: "f6:67:73:01:00:00", Prefix: "trial",
	}
	for i, n := range baked.NICs {
		to.NICs = append(to.NICs, identity.NIC{Name: n.Name, MAC: fmt.Sprintf("02:67:73:00:01:%02x", i)})
	}
	return to
}

// sortFaults takes an error of several apart: what is wrong in the machine, and whether something could not be asked.
func sortFaults(err error) (refused []error, unseen bool) {
	switch {
	case err == nil:
		return nil, false
	case !offline(err):
		return []error{err}, false
	}
	list := []error{errors.Unwrap(err)}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		list = several.Unwrap()
	}
	if list[0] == nil || slices.ContainsFunc(list, noServer) { // its other parts say the same in other words
		return nil, true
	}
	for _, e := range list {
		r, u := sortFaults(e)
		refused, unseen = append(refused, r...), unseen || u
	}
	return refused, unseen
}

// offline tells whether an error says, among other things, that there is nobody to ask.
func offline(err error) bool {
	return errors.Is(err, host.ErrNoDatabase) || errors.Is(err, host.ErrNoOVS) || errors.Is(err, exec.ErrNotFound)
}

// noServer tells whether an error says that itself.
func noServer(err error) bool {
	return slices.Contains([]error{host.ErrNoDatabase, host.ErrNoOVS, exec.ErrNotFound}, err)
}
