package builder

import (
	"fmt"
	"io"
	"strings"
)

// Plan writes what a bake would do, phase by phase, with the keys of layers in the cache, and does nothing.
func (j *Job) Plan(w io.Writer) error {
	layers := j.layers
	defer func() { j.layers = layers }()
	known := !j.Fresh
	fmt.Fprintf(w, "bake %s into %s\n", j.Recipe.Name, j.Home.Image(j.Name))
	for _, p := range j.Phases() {
		state := "run"
		switch why := p.skip(j); {
		case why != "":
			state = "skip: " + why
		case p.Inputs != nil:
			key := j.key(p.Name, p.Inputs(j))
			_, ok := j.Home.Layers().Find(key)
			if known = known && ok; known {
				state = "cached"
			}
			j.layers = append(j.layers, key)
			state += " " + key
		}
		fmt.Fprintf(w, "  %-24s %-28s %s\n", p.Name, state, p.Short)
		for _, d := range j.details(p.Name) {
			fmt.Fprintf(w, "  %-24s %-28s - %s\n", "", "", d)
		}
		if j.stops(p) {
			break
		}
	}
	_, err := fmt.Fprintln(w, "nothing was done")
	return err
}

// details lists what a phase would do, in the recipe's words.
func (j *Job) details(phase string) []string {
	r := j.Recipe
	switch phase {
	case "base":
		return []string{fmt.Sprintf("%s %s %s: %s", r.Base.Distribution, r.Base.Suite, r.Base.Architecture, strings.Join(r.Base.Packages, " "))}
	case "configure":
		var out []string
		for _, f := range r.Files {
			out = append(out, "file "+f.Path)
		}
		for _, s := range r.Steps {
			out = append(out, "step "+s.Name)
		}
		return out
	case "firstboot":
		return []string{"stacks: " + strings.Join(r.Stacks, " ")}
	}
	for _, g := range r.Groups() {
		if phase == "packages:"+g.Name {
			return []string{strings.Join(g.Packages, " ")}
		}
	}
	return nil
}
