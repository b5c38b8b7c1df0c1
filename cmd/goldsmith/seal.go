package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

func sealCommand() *cli.Command {
	return &cli.Command{
		Name:        "seal",
		Usage:       "make a tree forget what two clones must not share",
		ArgsUsage:   "DIR",
		Description: "DIR is the root of a machine that does not run. A bake does this by itself.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "list", Usage: "list the operations, and what is kept on purpose"},
			&cli.StringSliceFlag{Name: "enable", Usage: "also do `OPERATION`, which is off by default"},
			&cli.StringSliceFlag{Name: "disable", Usage: "do not do `OPERATION`"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "say what would be changed, and change nothing"},
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
		return report.Faultf(report.Usage, "cannot seal: give the root of one tree").WithHint("goldsmith seal --list")
	}
	dir := c.Args().First()
	ops, err := seal.Choose(c.StringSlice("enable"), c.StringSlice("disable"))
	if err != nil {
		return err
	}
	root, err := openMachine(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var results []seal.Result
	for _, op := range ops {
		r, e := seal.Run(root, op, c.Bool("dry-run"))
		results, err = append(results, r), errors.Join(err, e)
	}
	return errors.Join(err, printSeals(c.App.Writer, results, c.Bool("json")))
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
		return json.NewEncoder(w).Encode(map[string]any{"operations": list, "kept": seal.Kept})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range list {
		mark := "*"
		if !e.On {
			mark = " "
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", mark, e.Name, e.Short)
	}
	fmt.Fprintln(t, "\nkept, whatever an operation says:")
	for _, k := range seal.Kept {
		fmt.Fprintf(t, "\t/%s\t%s\n", k.Path, k.Why)
	}
	return t.Flush()
}

// isRunningRoot says whether dir is the root of this very machine, by whatever name.
func isRunningRoot(dir string) bool {
	a, err1 := os.Stat(dir)
	b, err2 := os.Stat("/")
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
