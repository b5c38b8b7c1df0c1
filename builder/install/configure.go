package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"goldsmith/builder/machine"
	"goldsmith/builder/recipe"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
)

// Revision is part of the key of configured layers. It grows when this package configures something differently from
// the same recipe, so that no cached layer hides the change.
const Revision = 2

// A Configuration is the part of a recipe that is done inside: files, then services, then steps in the booted machine.
type Configuration struct {
	Recipe   *recipe.Recipe
	Spec     machine.Spec
	Identity identity.Identity // that the machine boots as
	Log      io.Writer
	Wait     func(what string, done, total int64)
}

// powerOffPatience is how long the machine may take to stop: a message broker can be slow.
const powerOffPatience = 3 * time.Minute

// Run does it all and powers the machine off. On an error the machine is ended at once.
func (c Configuration) Run(ctx context.Context) error {
	root, err := tree.Open(c.Spec.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := errors.Join(PutIdentity(root, c.Identity), PutFiles(root, c.Recipe.Files)); err != nil {
		return err
	}
	if err := c.services(ctx, func(string) bool { return true }); err != nil {
		return err
	}
	if len(c.Recipe.Steps) == 0 {
		return nil
	}
	return c.boot(ctx, root)
}

// Prepare writes the files, and does with the units that are there already what the recipe wants of them: a virtual machine
// needs its network before any step can run in it. Units that come with a step are left for after the steps.
func (c Configuration) Prepare(ctx context.Context) error {
	root, err := tree.Open(c.Spec.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := PutFiles(root, c.Recipe.Files); err != nil {
		return err
	}
	return c.services(ctx, func(unit string) bool { return hasUnit(root, unit) })
}

// hasUnit looks where systemd looks for units (systemd.unit(5)); an instance is there where its template is.
func hasUnit(root *tree.FS, unit string) bool {
	names := []string{unit}
	if name, rest, ok := strings.Cut(unit, "@"); ok {
		names = append(names, name+"@"+path.Ext(rest))
	}
	for _, dir := range []string{"etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		for _, n := range names {
			if root.Exists(path.Join(dir, n)) {
				return true
			}
		}
	}
	return false
}

// services enables, disables and masks units; systemctl works on links where no systemd runs.
func (c Configuration) services(ctx context.Context, here func(unit string) bool) error {
	s := c.Recipe.Services
	for _, set := range []struct {
		verb  string
		units []string
	}{{"enable", s.Enable}, {"disable", s.Disable}, {"mask", s.Mask}} {
		units := slices.DeleteFunc(slices.Clone(set.units), func(u string) bool { return !here(u) })
		if len(units) == 0 {
			continue
		}
		err := c.Spec.Run(ctx, machine.Command{Argv: append([]string{"systemctl", "--quiet", set.verb, "--"}, units...), Log: c.Log})
		if err != nil {
			return fmt.Errorf("cannot %s services: %w", set.verb, err)
		}
	}
	return nil
}

// boot runs the steps in the booted machine.
func (c Configuration) boot(ctx context.Context, root *tree.FS) (err error) {
	total := int64(len(c.Recipe.Steps))
	c.Wait("boot to "+c.Recipe.Boot.Target, 0, total)
	m, err := c.Spec.Boot(ctx, c.Identity, c.Recipe.Boot.Target, c.Log)
	if err != nil {
		return err
	}
	for i, s := range c.Recipe.Steps {
		c.Wait(s.Name, int64(i), total)
		if err := c.step(ctx, m, root, s); err != nil {
			return errors.Join(fmt.Errorf("step %q: %w", s.Name, err), m.Kill())
		}
	}
	c.Wait("power off", total, total)
	return m.PowerOff(ctx, powerOffPatience)
}

func (c Configuration) step(ctx context.Context, m *machine.Booted, root *tree.FS, s recipe.Step) error {
	limit := time.Duration(s.Timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	if s.OpenStack != nil {
		o := &openStack{OpenStack: *s.OpenStack, id: c.Identity, m: m, root: root, log: c.Log,
			wait: func(what string) { c.Wait(s.Name+": "+what, 0, 0) }}
		return o.configure(ctx)
	}
	if s.OpenNebula != nil {
		return SetUpOpenNebula(ctx, *s.OpenNebula, booted{m, root, c.Log}, c.Log, func(what string) { c.Wait(s.Name+": "+what, 0, 0) })
	}
	return m.Run(ctx, machine.Command{Argv: recipe.Shell(), Stdin: []byte(s.Run), Log: c.Log})
}

// PutIdentity gives the tree the names of id: machine id, host name, and a hosts file that knows both names and address.
func PutIdentity(root *tree.FS, id identity.Identity) error {
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	hosts += fmt.Sprintf("%s\t%s\n", id.Address, strings.Join(names(id), " "))
	var errs []error
	for _, f := range []recipe.File{
		{Path: "/etc/machine-id", Content: id.MachineID + "\n", Mode: 0o444, Owner: "root"},
		{Path: "/etc/hostname", Content: id.Hostname + "\n", Mode: 0o644, Owner: "root"},
		{Path: "/etc/hosts", Content: hosts, Mode: 0o644, Owner: "root"},
	} {
		errs = append(errs, PutFiles(root, []recipe.File{f}))
	}
	return errors.Join(errs...)
}

// names lists the FQDN, when there is one, before the short name: the order of hosts(5).
func names(id identity.Identity) []string {
	if id.Domain == "" {
		return []string{id.Hostname}
	}
	return []string{id.FQDN(), id.Hostname}
}
