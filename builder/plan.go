package builder

import (
	"fmt"
	"io"
	"strings"
	"time"

	"goldsmith/builder/disk"
	"goldsmith/builder/recipe"
)

// Plan writes what a bake would do, phase by phase, with the keys of layers in the cache, and does nothing.
func (j *Job) Plan(w io.Writer) error {
	defer j.mark()()
	known := !j.Fresh
	fmt.Fprintf(w, "bake %s into %s\n", j.Recipe.Name, j.Home.Image(j.Name))
	for _, p := range j.Phases() {
		state := "run"
		switch why := p.skip(j); {
		case why != "":
			state = "skip: " + why
		case p.Inputs != nil:
			key := j.key(p.Name, p.Inputs(j))
			_, ok := j.find(p, key)
			if known = known && ok; known {
				state = "cached"
			}
			j.pass(p, key)
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
	if phase == "archives" {
		return archiveDetails(r.Archives)
	}
	if r.UsesVM() {
		if list, ok := j.virtualDetails(phase); ok {
			return list
		}
	}
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

// virtualDetails are those of the phases that only bakes in a virtual machine have.
func (j *Job) virtualDetails(phase string) ([]string, bool) {
	r := j.Recipe
	switch {
	case phase == "base" && r.Base.Image != "":
		return []string{r.Base.Image}, true
	case phase == "machine":
		out := []string{fmt.Sprintf("%d processors, %s of memory", r.VM.CPUs, disk.Bytes(int64(r.VM.Memory)))}
		if r.Disk.Size > 0 {
			out = append(out, "root disk of "+disk.Bytes(int64(r.Disk.Size)))
		}
		for _, d := range r.VM.Disks {
			out = append(out, fmt.Sprintf("disk %s of %s", d.Name, disk.Bytes(int64(d.Size))))
		}
		return out, true
	case phase == "files":
		var out []string
		for _, f := range r.Files {
			out = append(out, f.Path)
		}
		return out, true
	case phase == "services":
		return []string{"enable: " + strings.Join(r.Services.Enable, " "), "disable: " + strings.Join(r.Services.Disable, " "), "mask: " + strings.Join(r.Services.Mask, " ")}, true
	}
	for _, s := range r.Steps {
		if phase == "step:"+s.Name {
			return stepDetails(s), true
		}
	}
	return nil, false
}

// stepDetails shows all that a step does: its commands word by word, so that a plan can be held beside a manual.
func stepDetails(s recipe.Step) []string {
	var out []string
	if a := s.Answers; a != nil {
		out = append(out, fmt.Sprintf("answers for %s %s, preset %s, to %s", a.Kind, a.Release, a.Preset, a.Path))
		for _, kv := range a.Set {
			out = append(out, "answer "+kv)
		}
	}
	for _, u := range s.Upload {
		out = append(out, fmt.Sprintf("upload %s%s to %s", u.Source, u.Image, u.Path))
	}
	for line := range strings.Lines(s.Run) {
		if line = strings.TrimRight(line, "\n"); line != "" {
			out = append(out, "| "+line)
		}
	}
	for _, d := range s.Download {
		out = append(out, "download "+d)
	}
	if s.Reboot {
		out = append(out, "reboot")
	}
	return append(out, fmt.Sprintf("within %s, %d retries", time.Duration(s.Timeout), s.Retries))
}
