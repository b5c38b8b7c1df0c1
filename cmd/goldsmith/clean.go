package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"goldsmith/builder"
	"goldsmith/builder/machine"
	"goldsmith/firstboot/report"
	"goldsmith/fleet"
)

func cleanCommand() *cli.Command {
	return &cli.Command{
		Name:        "clean",
		Usage:       "remove what interrupted bakes left, and with --cache all that can be made again",
		Description: "Images and clones stay. What belongs to a bake that runs stays, too.",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.BoolFlag{Name: "cache", Usage: "also remove cached layers and downloaded packages"},
		},
		Action: clean,
	}
}

func clean(c *cli.Context) error {
	if c.NArg() > 0 {
		return report.Faultf(report.Usage, "cannot clean %q: clean takes no argument", c.Args().First()).WithHint("goldsmith clean --help")
	}
	if _, err := os.Stat(c.String("home")); err != nil {
		return report.Faultf(report.Usage, "cannot clean: %w", err).WithHint("--home DIR, or GOLDSMITH_HOME")
	}
	bench, err := builder.OpenHome(c.String("home"))
	if err != nil {
		return err
	}
	removed, err := bench.Clean(func(dir string) error { return prover{}.Forget(c.Context, dir) })
	if c.Bool("cache") {
		used, e := rootsInUse(bench.Dir)
		if e != nil {
			return errors.Join(err, e)
		}
		more, e := bench.CleanCache(used)
		removed, err = append(removed, more...), errors.Join(err, e)
	}
	for _, r := range removed {
		fmt.Fprintln(c.App.Writer, "removed", r)
	}
	if err = errors.Join(err, machine.RemoveGroups()); err == nil && len(removed) == 0 {
		fmt.Fprintln(c.App.Writer, "nothing to remove")
	}
	return err
}

// rootsInUse lists the trees that clones of this bench stand on.
func rootsInUse(home string) ([]string, error) {
	states, err := fleet.Bench{Home: home}.Fleets()
	var out []string
	for _, s := range states {
		out = append(out, s.Image.Root)
	}
	return out, err
}
