package main

import (
	"slices"
	"testing"

	"goldsmith/builder/recipe"
)

// TestBundledRecipesLoad: each is complete, and named after its file.
func TestBundledRecipesLoad(t *testing.T) {
	for _, name := range library().Names() {
		r, err := library().Load(name)
		if err != nil || r.Name != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOVirtRecipes: engine-setup runs in the image only where the recipe allows what all clones then share, and its answers are
// of a release and for the name that the machine has.
func TestOVirtRecipes(t *testing.T) {
	for name, want := range map[string]struct{ setup, shared bool }{"ovirt-engine": {false, false}, "ovirt-engine-baked": {true, true}} {
		r, err := library().Load(name)
		if err != nil {
			t.Fatal(err)
		}
		steps := map[string]int{}
		for i, s := range r.Steps {
			steps[s.Name] = i + 1
		}
		if (steps["setup"] > 0) != want.setup || slices.Contains(r.Identity.KeepSecrets, "ovirt/ca") != want.shared || !slices.Contains(r.Stacks, "ovirt") {
			t.Errorf("%s: steps %v, keeps %v, stacks %v", name, steps, r.Identity.KeepSecrets, r.Stacks)
		}
		if want.setup && steps["setup"] < steps["answers"] {
			t.Errorf("%s: setup has no answers yet", name)
		}
		i := slices.IndexFunc(r.Steps, func(s recipe.Step) bool { return s.Answers != nil })
		a := r.Steps[i].Answers
		if a.Kind != "engine-setup" || a.Release != "4.5" || a.Path != "/etc/goldsmith/engine-answers.conf" || !slices.Contains(a.Set, "OVESETUP_CONFIG/fqdn=engine.ovirt.test") {
			t.Errorf("%s: answers %+v", name, a)
		}
	}
	host, err := library().Load("ovirt-host")
	if err != nil || len(host.Stacks) > 0 { // what a host forgets belongs to sealing and to the base rewriters
		t.Errorf("host: %v %v", host.Stacks, err)
	}
}
