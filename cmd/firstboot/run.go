package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
	"goldsmith/firstboot/who"
)

var (
	phaseFlag = &cli.StringFlag{Name: "phase", Value: "all", Usage: "`PHASE`: local, stack, or all"}
	jsonFlag  = &cli.BoolFlag{Name: "json", Usage: "print JSON"}
)

func planCommand() *cli.Command {
	return &cli.Command{Name: "plan", Usage: "print what apply would change, and change nothing",
		Flags: []cli.Flag{phaseFlag, jsonFlag}, Action: func(c *cli.Context) error { return showPlan(c, printPlan) }}
}

func diffCommand() *cli.Command {
	return &cli.Command{Name: "diff", Usage: "print what apply would change as a diff, old values beside new",
		Flags: []cli.Flag{phaseFlag}, Action: func(c *cli.Context) error { return showPlan(c, printDiff) }}
}

func applyCommand() *cli.Command {
	return &cli.Command{Name: "apply", Usage: "make the clone itself",
		Flags: []cli.Flag{phaseFlag, jsonFlag,
			&cli.BoolFlag{Name: "boot", Usage: "as the units run it: one line per step on the console"}},
		Action: apply}
}

func verifyCommand() *cli.Command {
	return &cli.Command{Name: "verify", Usage: "plan again and ask every check; exit 5 when something is not right",
		Flags: []cli.Flag{phaseFlag, jsonFlag}, Action: verify}
}

// phases reads the flag.
func phases(c *cli.Context) ([]rewriters.Phase, error) {
	switch p := c.String("phase"); p {
	case "all":
		return []rewriters.Phase{rewriters.Local, rewriters.Stack}, nil
	case "local", "stack":
		return []rewriters.Phase{rewriters.Phase(p)}, nil
	default:
		return nil, report.Faultf(report.Usage, "unknown phase %q", p).WithHint("use local, stack or all")
	}
}

// open builds the engine for the machine that the flags name.
func open(c *cli.Context) (*firstboot.Engine, func(), error) {
	if c.Args().Len() > 0 {
		return nil, nil, report.Faultf(report.Usage, "unexpected argument %q", c.Args().First())
	}
	if os.Geteuid() != 0 {
		return nil, nil, report.Faultf(report.Usage, "cannot work as user %d: firstboot edits what only root may", os.Geteuid()).
			WithHint("sudo firstboot %s", c.Command.Name)
	}
	h, err := host.Open(c.String("root"), host.Options{MySQL: c.String("mysql"), Postgres: c.String("postgres"), OVSDB: c.String("ovsdb")})
	if err != nil {
		return nil, nil, &report.Fault{Code: report.Usage, Err: err}
	}
	w, err := whoever(c, h)
	if err != nil {
		h.Close()
		return nil, nil, &report.Fault{Code: report.Usage, Err: err}
	}
	return &firstboot.Engine{Host: h, Who: w, Units: manager(h), Binary: mark(), Now: clock}, func() { h.Close() }, nil
}

// mark tells this binary from another: a new firstboot may know more places than the one that ran last.
func mark() string {
	exe, err := os.Executable()
	if err != nil {
		return version()
	}
	info, err := os.Stat(exe)
	if err != nil {
		return version()
	}
	return fmt.Sprintf("%s %d %d", version(), info.Size(), info.ModTime().UnixNano())
}

// whoever is who tells the identity: the file that the flag names, or the machine and its sources.
func whoever(c *cli.Context, h *host.Host) (firstboot.Who, error) {
	if name := c.String("identity"); name != "" {
		return who.ReadGiven(name, h)
	}
	if !h.Running() {
		return nil, errors.New("cannot tell who a tree shall be: it has no hardware and no lease; name a file with --identity")
	}
	return who.Running{Host: h}, nil
}

func showPlan(c *cli.Context, show func(io.Writer, *plan.Plan)) error {
	list, err := phases(c)
	if err != nil {
		return err
	}
	e, done, err := open(c)
	if err != nil {
		return err
	}
	defer done()
	all := &plan.Plan{Changes: []plan.Change{}}
	for _, ph := range list {
		p, err := e.Plan(c.Context, ph)
		if err != nil {
			return err
		}
		for _, ch := range p.Changes {
			all.Changes = append(all.Changes, ch.Masked())
		}
		all.Notes = append(all.Notes, p.Notes...)
	}
	if c.Bool("json") {
		return writeJSON(c.App.Writer, all)
	}
	show(c.App.Writer, all)
	return nil
}

func printPlan(w io.Writer, p *plan.Plan) {
	for _, c := range p.Changes {
		fmt.Fprintf(w, "%-14s %s: %s -> %s\n", c.By, c.ID(), short(c.Was), short(c.Want))
	}
	for _, n := range p.Notes {
		fmt.Fprintf(w, "%-14s note: %s: %s\n", n.By, n.What, n.Why)
	}
	fmt.Fprintf(w, "%d changes", len(p.Changes))
	if r := plan.Restarts(p.Changes); len(r) > 0 {
		fmt.Fprintf(w, ", to restart where running: %s", strings.Join(r, " "))
	}
	fmt.Fprintln(w)
}

// short renders a value on one line.
func short(v plan.Value) string {
	s := v.String()
	if n := strings.Count(s, "\n"); n > 1 {
		return fmt.Sprintf("(%d lines)", n)
	}
	return strings.TrimSuffix(s, "\n")
}

func printDiff(w io.Writer, p *plan.Plan) {
	for _, c := range p.Changes {
		fmt.Fprintf(w, "@@ %s (%s: %s)\n", c.ID(), c.By, c.Why)
		was, want := lines(c.Was), lines(c.Want)
		for len(was) > 0 && len(want) > 0 && was[0] == want[0] {
			was, want = was[1:], want[1:]
		}
		for len(was) > 0 && len(want) > 0 && was[len(was)-1] == want[len(want)-1] {
			was, want = was[:len(was)-1], want[:len(want)-1]
		}
		for _, l := range was {
			fmt.Fprintf(w, "-%s\n", l)
		}
		for _, l := range want {
			fmt.Fprintf(w, "+%s\n", l)
		}
	}
}

func lines(v plan.Value) []string {
	if v.Absent {
		return nil
	}
	return strings.Split(strings.TrimSuffix(v.Text, "\n"), "\n")
}

func apply(c *cli.Context) error {
	list, err := phases(c)
	if err != nil {
		return err
	}
	e, done, err := open(c)
	if err != nil {
		return err
	}
	defer done()
	if c.Bool("boot") {
		e.Console = c.App.Writer
	}
	for _, ph := range list {
		rep, err := e.Run(c.Context, ph)
		if rep != nil {
			if perr := printReport(c, rep); perr != nil {
				return perr
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func verify(c *cli.Context) error {
	list, err := phases(c)
	if err != nil {
		return err
	}
	e, done, err := open(c)
	if err != nil {
		return err
	}
	defer done()
	for _, ph := range list {
		rep, err := e.Verify(c.Context, ph)
		if rep != nil {
			if perr := printReport(c, rep); perr != nil {
				return perr
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func printReport(c *cli.Context, rep *report.Report) error {
	if c.Bool("json") {
		return rep.JSON(c.App.Writer)
	}
	said := *rep
	said.Error, said.Hints = "", nil // run prints the error, once
	said.Text(c.App.Writer, !c.Bool("boot"))
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
