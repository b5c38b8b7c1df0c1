package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/builder"
	"goldsmith/builder/adopt"
	"goldsmith/builder/disk"
	"goldsmith/builder/implant"
	"goldsmith/builder/inspect"
	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

func adoptCommand() *cli.Command {
	return &cli.Command{
		Name:      "adopt",
		Usage:     "make a golden image of a machine that was made by hand",
		ArgsUsage: "IMAGE",
		Description: "Looks inside, finds out who the machine is, and makes OUT of it: with an imprint of that identity, with firstboot,\n" +
			"and sealed. What the machine does not say must be said by flags; all of it is asked for at once. IMAGE is only read.\n" +
			"OUT is an overlay, which needs IMAGE to stay as it is, or with --copy an image that stands alone.",
		Flags: append([]cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the image to `OUT`, and what is known of it to OUT.json"},
			&cli.StringFlag{Name: "name", Usage: "call the image `NAME` (default: that of OUT)"},
			&cli.BoolFlag{Name: "copy", Usage: "make OUT stand alone"},
			&cli.BoolFlag{Name: "overlay", Usage: "make OUT an overlay, or nothing"},
			&cli.StringSliceFlag{Name: "disable-seal", Usage: "do not do the seal `OPERATION` (goldsmith seal --list)"},
			&cli.StringSliceFlag{Name: "policy", Usage: "decide `KEY=VALUE`: " + strings.Join(policyKeys, ", ")},
			&cli.StringFlag{Name: "root", Usage: "take `VOLUME` for the root, where several could be"},
			&cli.StringFlag{Name: "firstboot", Usage: "put this `PROGRAM` into the image (default: firstboot beside goldsmith)"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors"},
		}, answerFlags()...),
		Action: adoptAction,
	}
}

// answerFlags are what adopt asks for where a machine does not say it.
func answerFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "hostname", Usage: "the machine's host name is `NAME`, with its domain if it has one"},
		&cli.StringFlag{Name: "address", Usage: "the machine's address is `ADDRESS`, or none if none of its own stands in it"},
		&cli.StringFlag{Name: "interface", Usage: "`LINK` carries the public face, on the machine and on its clones"},
		&cli.StringSliceFlag{Name: "nic", Usage: "the machine has the NIC `NAME=MAC`; may be repeated"},
		&cli.StringSliceFlag{Name: "stack", Usage: "`STACK` is in the machine, too (firstboot list); may be repeated"},
		&cli.StringSliceFlag{Name: "leave", Usage: "clone `STACK` as it is, though firstboot does not know it; may be repeated"},
	}
}

func adoptAction(c *cli.Context) error {
	image, err := imageArg(c, "adopt")
	if err != nil {
		return err
	}
	if image, err = filepath.Abs(image); err != nil {
		return err
	}
	a, err := newAdoption(c, image)
	if err != nil {
		return err
	}
	if err := a.derive(c); err != nil {
		return err
	}
	m := newMeter(c)
	a.order.Tell = m.tell
	a.order.Derive.Progress = m.tell
	a.manifest, err = adopt.Make(c.Context, a.order, a.manifest)
	m.end()
	if err != nil {
		return err
	}
	return a.print(c)
}

// An adoption is one run of the command.
type adoption struct {
	answers  adopt.Answers
	order    adopt.Order
	manifest adopt.Manifest
	machine  inspect.Machine
	trial    *trialRun
}

// newAdoption reads the command line. All mistakes come at once.
func newAdoption(c *cli.Context, image string) (*adoption, error) {
	out := c.String("output")
	a := &adoption{order: adopt.Order{
		Image: image, Out: out, Root: c.String("root"), Derive: disk.DeriveOptions{Copy: c.Bool("copy"), Overlay: c.Bool("overlay")},
	}}
	var errs []error
	if out == "" {
		errs = append(errs, report.Faultf(report.Usage, "cannot adopt: say where to write the image").WithHint("goldsmith adopt %s -o golden.qcow2", image))
	}
	if c.Bool("copy") && c.Bool("overlay") {
		errs = append(errs, report.Faultf(report.Usage, "cannot use --copy and --overlay together"))
	}
	for _, name := range []string{out, adopt.ManifestName(out)} {
		if _, err := os.Lstat(name); err == nil && out != "" {
			errs = append(errs, report.Faultf(report.Usage, "cannot write %s: it exists", name).WithHint("remove it, or choose another name with -o"))
		}
	}
	name := c.String("name")
	if name == "" {
		name = strings.TrimSuffix(filepath.Base(out), filepath.Ext(out))
	}
	if out != "" {
		errs = append(errs, builder.CheckName(name))
	}
	var err error
	a.order.Seals, err = seal.Choose(nil, c.StringSlice("disable-seal"))
	errs = append(errs, err)
	a.answers, err = answersOf(c)
	errs = append(errs, err)
	imp := identity.Imprint{Format: identity.ImprintFormat, Image: name, Made: time.Now().UTC().Truncate(time.Second)}
	imp.Policy, err = policyOf(c.StringSlice("policy"), c.String("interface"))
	errs = append(errs, err)
	a.order.Implant = implant.Implant{Imprint: imp}
	a.order.Implant.Binary, err = firstbootBinary(c)
	return a, errors.Join(append(errs, err)...)
}

// firstbootBinary is what --firstboot names, or the program beside this one.
func firstbootBinary(c *cli.Context) (string, error) {
	if name := c.String("firstboot"); name != "" {
		return name, nil
	}
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), "firstboot"), err
}

// answersOf reads what the user says about the machine.
func answersOf(c *cli.Context) (adopt.Answers, error) {
	a := adopt.Answers{Hostname: c.String("hostname"), Address: c.String("address"), Interface: c.String("interface"),
		Stacks: c.StringSlice("stack"), Leave: c.StringSlice("leave")}
	var errs []error
	for _, s := range c.StringSlice("nic") {
		name, mac, _ := strings.Cut(s, "=")
		hw, err := net.ParseMAC(mac)
		if err != nil || name == "" {
			errs = append(errs, report.Faultf(report.Usage, "cannot read --nic %q: it is no NAME=MAC", s).WithHint("--nic ens3=52:54:00:12:34:56"))
			continue
		}
		a.NICs = append(a.NICs, identity.NIC{Name: name, MAC: hw.String()})
	}
	return a, errors.Join(errs...)
}

// policyKeys are the names of identity.Policy's fields.
var policyKeys = []string{"hostname", "endpoints", "keep_secrets", "lease_timeout", "disk", "optional"}

// policyOf reads --policy. Values of lists are separated by commas.
func policyOf(settings []string, public string) (identity.Policy, error) {
	p := identity.Policy{Hostname: identity.KeepHostname, Endpoints: identity.AllEndpoints, PublicInterface: public}
	values := map[string]any{}
	for _, s := range settings {
		key, value, ok := strings.Cut(s, "=")
		if !ok || !slices.Contains(policyKeys, key) {
			return p, badPolicy(s)
		}
		values[key] = value
		if key == "keep_secrets" || key == "optional" {
			values[key] = strings.Split(value, ",")
		}
		if key == "hostname" && value != string(identity.KeepHostname) && value != string(identity.HostnameFromMAC) ||
			key == "endpoints" && value != string(identity.PublicEndpoints) && value != string(identity.AllEndpoints) ||
			key == "disk" && value != string(identity.GrowDisk) && value != string(identity.KeepDisk) {
			return p, badPolicy(s)
		}
	}
	b, err := json.Marshal(values)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return p, report.Faultf(report.Usage, "cannot read policy: %w", err).WithHint("--policy lease_timeout=120s")
	}
	return p, nil
}

func badPolicy(s string) error {
	return report.Faultf(report.Usage, "cannot read --policy %q", s).
		WithHint("hostname=keep or from-mac; endpoints=all or public; keep_secrets=NAME,NAME; lease_timeout=120s; disk=grow or keep; optional=CHANGE,CHANGE")
}

// derive opens the original and settles everything that can be known before anything is written.
func (a *adoption) derive(c *cli.Context) (err error) {
	i, err := openQuietly(c, a.order.Image)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	a.machine = inspect.Tree(i.FS, owners())
	if err := adopt.Fits(i.FS, a.order.Implant.Binary); err != nil {
		return err
	}
	d, err := adopt.Derive(i.FS, a.machine, a.answers, owners())
	if err != nil {
		return err
	}
	imp := &a.order.Implant.Imprint
	imp.Baked, imp.Stacks = d.Baked, d.Stacks
	a.order.Implant.Units = rewriters.Waiting(d.Stacks)
	a.manifest = adopt.Manifest{Format: 1, Goldsmith: version(), Made: imp.Made, Imprint: *imp, Why: d.Why, Notes: d.Notes}
	a.order.Check = func(root *tree.FS) (err error) {
		a.trial, err = runTrial(c.Context, root, *imp)
		return err
	}
	_, err = runTrial(c.Context, i.FS, *imp) // before anything is written
	return err
}

// openQuietly opens an image without changing it. A journal that has to be replayed is, in an overlay that is thrown away.
func openQuietly(c *cli.Context, image string) (*disk.Image, error) {
	o := disk.Options{ReadOnly: true, Root: c.String("root")}
	i, err := disk.Open(c.Context, image, o)
	if err != nil {
		o.Throwaway = true
		i, err = disk.Open(c.Context, image, o)
	}
	if err == nil {
		sayCaveat(c, i)
	}
	return i, err
}

// sayCaveat names the way in which an image was opened, if it is not the usual one.
func sayCaveat(c *cli.Context, i *disk.Image) {
	if text := i.Caveat(); text != "" {
		fmt.Fprintln(c.App.ErrWriter, text)
	}
}

// print says who was found, what was done, what firstboot will do, and what comes next.
func (a *adoption) print(c *cli.Context) error {
	switch {
	case c.Bool("json"):
		return printJSON(c.App.Writer, map[string]any{"manifest": a.manifest, "machine": a.machine, "plan": a.trial})
	case c.Bool("quiet"):
		return nil
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
	a.printWho(w)
	a.printPlan(w)
	if err := w.Flush(); err != nil {
		return err
	}
	if a.manifest.Method == "overlay" {
		fmt.Fprintf(c.App.Writer, "\n%s stands on %s, which must stay where and as it is; --copy makes one that stands alone\n", a.order.Out, a.order.Image)
	}
	_, err := fmt.Fprintf(c.App.Writer, "\nnext: goldsmith clone %s -n 3 --lab --wait\n", clonePath(a.order.Out))
	return err
}

// clonePath writes a path so that clone does not take it for the name of an image on the bench.
func clonePath(out string) string {
	if strings.ContainsRune(out, filepath.Separator) {
		return out
	}
	return "./" + out
}

func (a *adoption) printWho(w io.Writer) {
	m := a.manifest
	fmt.Fprintf(w, "image\t%s, %s of %s\n", a.order.Out, m.Method, m.Original)
	fmt.Fprintf(w, "system\t%s\n", orElse(a.machine.OS.Name, "unknown"))
	for _, r := range m.Why {
		fmt.Fprintf(w, "%s\t%s (%s)\n", r.What, r.Value, r.Where)
	}
	fmt.Fprintf(w, "stacks\t%s\n", orElse(strings.Join(m.Imprint.Stacks, ", "), "none"))
	for _, n := range m.Notes {
		fmt.Fprintf(w, "note\t%s\n", n)
	}
	if m.SELinux != "" {
		fmt.Fprintf(w, "SELinux\t%s\n", m.SELinux)
	}
	sealed := 0
	for _, r := range m.Sealed {
		sealed += len(r.Paths)
	}
	fmt.Fprintf(w, "sealed\t%d places by %d operations, listed in %s\n", sealed, len(m.Sealed), adopt.ManifestName(a.order.Out))
}

func (a *adoption) printPlan(w io.Writer) {
	for _, ch := range a.trial.Changes {
		fmt.Fprintf(w, "will rewrite\t%s: %s\n", ch.By, ch.ID())
	}
	for _, n := range a.trial.Notes {
		fmt.Fprintf(w, "note\t%s: %s: %s\n", n.By, n.What, n.Why)
	}
	if len(a.trial.Unseen) > 0 {
		fmt.Fprintf(w, "not seen here\t%s: what they rewrite is in a database, which runs on the clone only\n", strings.Join(a.trial.Unseen, ", "))
	}
}
