package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"goldsmith/builder/disk"
	"goldsmith/builder/vm"
	"goldsmith/firstboot/report"
)

// A Tool is a program that a bake runs, and the Debian package that has it. make setup installs them.
type Tool struct{ Name, Package string }

// Tools lists the programs that a bake runs on this host.
func Tools() []Tool {
	return []Tool{
		{"mmdebstrap", "mmdebstrap"}, {"apt-get", "apt"}, {"dpkg", "dpkg"},
		{"systemd-nspawn", "systemd-container"}, {"nsenter", "util-linux"},
		{"mkfs.ext4", "e2fsprogs"}, {"qemu-img", "qemu-utils"}, {"grub-mkimage", "grub-common"},
	}
}

// Check says all that would keep a bake from being done here, at once. It touches nothing.
func (j *Job) Check() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, report.Faultf(report.Usage, "cannot bake: mounting layers and booting machines needs root").WithHint("sudo goldsmith bake ..."))
	}
	errs = append(errs, missingTools(), j.checkFirstboot(), CheckName(j.Name), j.checkUntil())
	if j.Recipe.UsesVM() {
		errs = append(errs, vm.Check(), j.checkBase(), j.checkUploads(), j.checkAnswers())
	}
	return errors.Join(errs...)
}

func missingTools() error {
	var tools, packages []string
	for _, t := range Tools() {
		if _, err := exec.LookPath(t.Name); err != nil {
			tools, packages = append(tools, t.Name), append(packages, t.Package)
		}
	}
	if tools == nil {
		return nil
	}
	return report.Faultf(report.Usage, "cannot bake: missing tools: %s", strings.Join(tools, ", ")).
		WithHint("apt-get install %s", strings.Join(packages, " "))
}

func (j *Job) checkFirstboot() error {
	st, err := os.Stat(j.Firstboot)
	if err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
		return nil
	}
	return report.Faultf(report.Usage, "cannot find the firstboot program that goes into images: %q", j.Firstboot).
		WithHint("make bin").WithHint("goldsmith bake --firstboot PATH ...")
}

func (j *Job) checkUntil() error {
	if j.Until == "" {
		return nil
	}
	var names []string
	for _, p := range j.Phases() {
		if p.Name == j.Until || strings.HasPrefix(p.Name, j.Until+":") {
			return nil
		}
		names = append(names, p.Name)
	}
	return report.Faultf(report.Usage, "cannot stop after phase %q: there is none", j.Until).WithHint("phases: %s", strings.Join(names, ", "))
}

// What a phase takes on the disk at most, in bytes, from bakes of all recipes.
const (
	baseRoom      = 900 << 20
	groupRoom     = 200 << 20
	packageRoom   = 60 << 20 // for each package that a recipe names, with what it needs and its download
	configureRoom = 600 << 20
)

// checkUse refuses to replace an image under the feet of its clones.
func (j *Job) checkUse() error {
	if j.InUse == nil {
		return nil
	}
	clones, err := j.InUse()
	if err != nil || len(clones) == 0 {
		return err
	}
	return report.Faultf(report.Usage, "cannot replace image %s: %s would lose their ground", j.Name, strings.Join(clones, ", ")).
		WithHint("goldsmith remove %s", strings.Join(clones, " ")).WithHint("bake under another name: --name %s-2", j.Name)
}

// room is what this bake still needs before its image; disk.Make checks the room of that itself, when it knows it.
func (j *Job) room() int64 {
	defer j.mark()()
	need := int64(0)
	for _, p := range j.Phases() {
		if p.Inputs == nil || p.Disk || p.Name == "firstboot" || p.Name == "seal" { // disks grow by what steps do, which nobody knows
			continue
		}
		key := j.key(p.Name, p.Inputs(j))
		if _, ok := j.Home.Layers().Find(key); !ok || j.Fresh {
			need += j.phaseRoom(p.Name)
		}
		j.layers = append(j.layers, key)
	}
	return need
}

func (j *Job) phaseRoom(name string) int64 {
	for _, g := range j.Recipe.Groups() {
		if name == "packages:"+g.Name {
			return groupRoom + packageRoom*int64(len(g.Packages))
		}
	}
	if name == "base" {
		return baseRoom
	}
	return configureRoom
}

// check is the first phase.
func check(_ context.Context, j *Job) error {
	if err := j.Check(); err != nil {
		return err
	}
	if j.findDone(); j.done {
		return nil
	}
	if err := j.checkUse(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(j.Home.Dir, "images"), 0o711); err != nil {
		return fmt.Errorf("cannot make home: %w", err)
	}
	return disk.CheckRoom(j.Home.Dir, j.room())
}
