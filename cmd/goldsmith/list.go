package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
)

func listCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "list fleets and how their clones are doing",
		ArgsUsage: "[FLEET|CLONE]",
		Flags:     []cli.Flag{homeFlag(), jsonFlag(), &cli.BoolFlag{Name: "wide", Usage: "more columns"}},
		Action: func(c *cli.Context) error {
			b, err := settledBench(c)
			if err != nil {
				return err
			}
			return printStandings(c, b, c.Args().First())
		},
	}
}

func waitCommand() *cli.Command {
	return &cli.Command{
		Name:      "wait",
		Usage:     "wait until each clone has become itself, or failed",
		ArgsUsage: "FLEET|CLONE",
		Flags:     []cli.Flag{homeFlag(), jsonFlag(), timeoutFlag()},
		Action: func(c *cli.Context) error {
			b, name, err := benchAndName(c)
			if err != nil {
				return err
			}
			return waitFor(c, b, name)
		},
	}
}

// waitFor waits and prints the table, also when some clone is not ready.
func waitFor(c *cli.Context, b fleet.Bench, name string) error {
	say := narrator(c)
	all, err := b.Wait(c.Context, name, c.Duration("timeout"), func(st fleet.Standing) {
		say("%s is %s%s", st.Clone, st.State, since(st.Ready))
	})
	if all == nil {
		return err
	}
	if printed := writeStandings(c, all); printed != nil {
		return printed
	}
	return err
}

func since(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " after " + brief(d)
}

// settledBench opens the bench and undoes what a goldsmith that died left half-done, saying so.
func settledBench(c *cli.Context) (fleet.Bench, error) {
	dir, err := home(c)
	if err != nil {
		return fleet.Bench{}, err
	}
	b := fleet.Bench{Home: dir}
	notes, err := b.Settle(c.Context)
	for _, n := range notes {
		fmt.Fprintln(c.App.ErrWriter, n)
	}
	return b, err
}

// benchAndName is settledBench for commands that take one fleet or clone.
func benchAndName(c *cli.Context) (fleet.Bench, string, error) {
	if c.NArg() < 1 {
		return fleet.Bench{}, "", report.Faultf(report.Usage, "cannot %s: want the name of a fleet or a clone", c.Command.Name).
			WithHint("goldsmith list")
	}
	b, err := settledBench(c)
	return b, c.Args().First(), err
}

// narrator returns a function that says what happens, for people: on standard error, and not where JSON was asked for.
func narrator(c *cli.Context) func(format string, args ...any) {
	begin := time.Now()
	return func(format string, args ...any) {
		if !c.Bool("json") {
			fmt.Fprintf(c.App.ErrWriter, "%6.1f s  %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
		}
	}
}

// printStandings prints how the named clones are doing, or all clones of the bench.
func printStandings(c *cli.Context, b fleet.Bench, name string) error {
	if name != "" {
		s, clones, err := b.Find(name)
		if err != nil {
			return err
		}
		all, err := s.Look(c.Context, clones)
		if err != nil {
			return err
		}
		s.Knock(c.Context, all)
		return writeStandings(c, all)
	}
	fleets, err := b.Fleets()
	if err != nil {
		return err
	}
	all := []fleet.Standing{}
	for _, s := range fleets {
		some, err := s.Look(c.Context, s.Clones)
		if err != nil {
			return err
		}
		s.Knock(c.Context, some)
		all = append(all, some...)
	}
	return writeStandings(c, all)
}

func writeStandings(c *cli.Context, all []fleet.Standing) error {
	if c.Bool("json") {
		return writeJSON(c.App.Writer, all)
	}
	columns := []string{"CLONE", "STATE", "MAC", "IP", "READY AFTER", "AGE"}
	knocked := slices.ContainsFunc(all, func(st fleet.Standing) bool { return len(st.Up)+len(st.Down) > 0 })
	if knocked {
		columns = append(columns, "STACK")
	}
	if c.Bool("wide") {
		columns = append(columns, "OWN TIME", "MEMORY", "DHCP CLIENT ID", "CHANGES", "CHECKS", "WHY")
	}
	rows := [][]string{columns}
	for _, st := range all {
		row := []string{st.Clone, string(st.State), st.MAC, address(st.Address), brief(st.Ready), brief(st.Age)}
		if knocked {
			row = append(row, stack(st))
		}
		if c.Bool("wide") {
			row = append(row, wide(st)...)
		}
		rows = append(rows, row)
	}
	return writeTable(c.App.Writer, rows)
}

// stack says which stacks do not answer, or how many do.
func stack(st fleet.Standing) string {
	switch {
	case len(st.Down) > 0:
		return "no " + strings.Join(st.Down, ", ")
	case len(st.Up) > 0:
		return fmt.Sprintf("%d up", len(st.Up))
	}
	return "-"
}

func wide(st fleet.Standing) []string {
	changes, checks := "-", "-"
	if r := st.Report; r != nil {
		changes = fmt.Sprint(len(r.Changes))
		checks = fmt.Sprintf("%d of %d", report.Count(r.Checks, report.Pass), len(r.Checks))
	}
	return []string{brief(st.Own), fmt.Sprintf("%d MiB", st.Memory>>20), orDash(st.Client), changes, checks, orDash(st.Why)}
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// writeTable aligns rows in columns, two blanks between them.
func writeTable(w io.Writer, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// brief prints a duration in tenths of seconds, or in minutes where it is long; nothing as a hyphen.
func brief(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Minute).String()
	}
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
