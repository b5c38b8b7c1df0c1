package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/disk"
	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

func sealCommand() *cli.Command {
	return &cli.Command{
		Name:      "seal",
		Usage:     "make an image or a tree forget what two clones must not share",
		ArgsUsage: "IMAGE|DIR",
		Description: "DIR is the root of a machine that does not run, and is changed. IMAGE is a disk image, which stays as it is: what is\n" +
			"sealed is another one, OUT, or with --in-place the image itself. Bake and adopt seal by themselves.",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.BoolFlag{Name: "list", Usage: "list the operations, and what is kept on purpose"},
			&cli.StringSliceFlag{Name: "enable", Usage: "also do `OPERATION`, which is off by default"},
			&cli.StringSliceFlag{Name: "disable", Usage: "do not do `OPERATION`"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be changed, and change nothing"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the sealed image to `OUT`, an overlay of IMAGE"},
			&cli.BoolFlag{Name: "copy", Usage: "make OUT stand alone"},
			&cli.BoolFlag{Name: "in-place", Usage: "change IMAGE itself"},
			&cli.StringFlag{Name: "root", Usage: "take `VOLUME` for the root, where several could be"},
			&cli.StringFlag{Name: "root-password-hash", Usage: "give root the password whose hash is the first line of `FILE`; - for standard input"},
			&cli.BoolFlag{Name: "expire", Usage: "make root choose a new password at the first login"},
			&cli.StringFlag{Name: "authorized-keys", Usage: "let the SSH keys of `FILE` log in as root"},
			&cli.BoolFlag{Name: "json", Usage: "print as JSON"},
		},
		Action: sealAction,
	}
}

func sealAction(c *cli.Context) error {
	if c.Bool("list") {
		return listSeals(c.App.Writer, c.Bool("json"))
	}
	if c.NArg() != 1 {
		return report.Faultf(report.Usage, "cannot seal: give one image, or the root of one tree").WithHint("goldsmith seal --list")
	}
	ops, err := sealOperations(c)
	if err != nil {
		return err
	}
	arg := c.Args().First()
	var results []seal.Result
	if st, e := os.Stat(arg); e == nil && st.IsDir() {
		results, err = sealDir(c, arg, ops)
	} else {
		results, err = sealImage(c, arg, ops)
	}
	return errors.Join(err, printSeals(c.App.Writer, results, c.Bool("json")))
}

// sealOperations are those of the catalogue, and access to root at last.
func sealOperations(c *cli.Context) ([]seal.Operation, error) {
	ops, err := seal.Choose(c.StringSlice("enable"), c.StringSlice("disable"))
	errs := []error{err}
	if name := c.String("root-password-hash"); name != "" {
		hash, err := firstLineOf(c, name)
		if err == nil {
			var op seal.Operation
			op, err = seal.RootPassword(hash, c.Bool("expire"))
			ops = append(ops, op)
		}
		errs = append(errs, err)
	} else if c.Bool("expire") {
		errs = append(errs, report.Faultf(report.Usage, "cannot use --expire without --root-password-hash"))
	}
	if name := c.String("authorized-keys"); name != "" {
		keys, err := os.ReadFile(name)
		if err != nil {
			err = report.Faultf(report.Usage, "cannot authorize keys: %w", err)
		} else {
			var op seal.Operation
			op, err = seal.AuthorizedKeys(keys)
			ops = append(ops, op)
		}
		errs = append(errs, err)
	}
	return ops, errors.Join(errs...)
}

// firstLineOf reads one line of a file, or of standard input: a hash has no business in a process list.
func firstLineOf(c *cli.Context, name string) (string, error) {
	in := c.App.Reader
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", report.Faultf(report.Usage, "cannot read the password's hash: %w", err).
				WithHint("openssl passwd -6 | goldsmith seal IMAGE --root-password-hash -")
		}
		defer f.Close()
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", report.Faultf(report.Usage, "cannot read the password's hash: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// sealDir seals a tree where it is.
func sealDir(c *cli.Context, dir string, ops []seal.Operation) ([]seal.Result, error) {
	if c.String("output") != "" || c.Bool("in-place") || c.Bool("copy") {
		return nil, report.Faultf(report.Usage, "cannot seal %s: -o, --copy and --in-place are for images; a tree is changed where it is", dir)
	}
	root, err := openMachine(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return seal.Each(c.Context, root, ops, c.Bool("dry-run"))
}

// sealImage seals an image, or one that is made of it.
func sealImage(c *cli.Context, arg string, ops []seal.Operation) ([]seal.Result, error) {
	image, err := imagePath(c, arg)
	if err != nil {
		return nil, err
	}
	out, inPlace := c.String("output"), c.Bool("in-place")
	switch {
	case c.Bool("dry-run"):
		i, err := openQuietly(c, image)
		return sealOpened(c, i, err, ops)
	case inPlace == (out != ""):
		return nil, report.Faultf(report.Usage, "cannot seal image %s: say where the sealed one shall be, either with -o or --in-place", image).
			WithHint("goldsmith seal %s -o sealed.qcow2", arg).WithHint("goldsmith seal %s --in-place changes it; clones that stand on it would break", arg)
	case inPlace && c.Bool("copy"):
		return nil, report.Faultf(report.Usage, "cannot use --copy and --in-place together")
	case inPlace:
		i, err := disk.Open(c.Context, image, disk.Options{Root: c.String("root")})
		return sealOpened(c, i, err, ops)
	}
	d, err := disk.Derive(c.Context, image, out, disk.DeriveOptions{Copy: c.Bool("copy"), Progress: newMeter(c).tell})
	if err != nil {
		return nil, err
	}
	defer d.Discard()
	i, err := disk.Open(c.Context, d.Path, disk.Options{Root: c.String("root")})
	results, err := sealOpened(c, i, err, ops)
	if err != nil {
		return nil, err
	}
	return results, d.Commit()
}

// sealOpened seals an image, unless it could not be opened, and closes it.
func sealOpened(c *cli.Context, i *disk.Image, err error, ops []seal.Operation) ([]seal.Result, error) {
	if err != nil {
		return nil, err
	}
	if !c.Bool("dry-run") { // openQuietly has said it
		sayCaveat(c, i)
	}
	results, err := seal.Each(c.Context, i.FS, ops, c.Bool("dry-run"))
	return results, errors.Join(err, i.Close())
}

// openMachine opens a tree that looks like the root of a machine which is not this one.
func openMachine(dir string) (*tree.FS, error) {
	root, err := tree.Open(dir)
	if err != nil {
		return nil, report.Faultf(report.Usage, "cannot seal: %w", err)
	}
	switch {
	case isRunningRoot(dir):
		err = report.Faultf(report.Usage, "cannot seal %s: this machine runs from it", dir)
	case !root.Exists("etc") || !root.Exists("usr"):
		err = report.Faultf(report.Usage, "cannot seal %s: no root of a machine, it lacks /etc or /usr", dir)
	default:
		return root, nil
	}
	root.Close()
	return nil, err
}

func printSeals(w io.Writer, results []seal.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(results)
	}
	for _, r := range results {
		for _, p := range r.Paths {
			fmt.Fprintf(w, "%-18s %s\n", r.Operation, p)
		}
		for _, p := range r.Kept {
			fmt.Fprintf(w, "%-18s %s (kept)\n", r.Operation, p)
		}
	}
	return nil
}

// A sealEntry is an operation as --list --json prints it.
type sealEntry struct {
	Name  string `json:"name"`
	Short string `json:"short"`
	On    bool   `json:"on"`
	Why   string `json:"why,omitempty"`
}

func listSeals(w io.Writer, asJSON bool) error {
	var list []sealEntry
	for _, op := range seal.All() {
		list = append(list, sealEntry{op.Name, op.Short, !op.Off, op.Why})
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"operations": list, "kept": seal.Kept, "left": seal.LeftAlone})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range list {
		mark := "*"
		if !e.On {
			mark, e.Short = " ", e.Short+" (off: "+e.Why+")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", mark, e.Name, e.Short)
	}
	fmt.Fprintln(t, "\nkept, whatever an operation says:")
	for _, k := range seal.Kept {
		fmt.Fprintf(t, "\t/%s\t%s\n", k.Path, k.Why)
	}
	fmt.Fprintln(t, "\nleft alone, for want of an operation that would do good:")
	for _, l := range seal.LeftAlone {
		fmt.Fprintf(t, "\t%s\t%s\n", l.What, l.Why)
	}
	return t.Flush()
}

// isRunningRoot says whether dir is the root of this very machine, by whatever name.
func isRunningRoot(dir string) bool {
	a, err1 := os.Stat(dir)
	b, err2 := os.Stat("/")
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
