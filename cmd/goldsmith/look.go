package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
)

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "print what firstboot reported in each clone",
		ArgsUsage: "FLEET|CLONE",
		Flags:     []cli.Flag{homeFlag(), jsonFlag(), &cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "also what passed"}},
		Action: func(c *cli.Context) error {
			b, name, err := benchAndName(c)
			if err != nil {
				return err
			}
			s, clones, err := b.Find(name)
			if err != nil {
				return err
			}
			all, err := s.Look(c.Context, clones)
			if err != nil {
				return err
			}
			return writeReports(c, all)
		},
	}
}

func writeReports(c *cli.Context, all []fleet.Standing) error {
	if c.Bool("json") {
		out := map[string]*report.Report{}
		for _, st := range all {
			out[st.Clone] = st.Report
		}
		return writeJSON(c.App.Writer, out)
	}
	for _, st := range all {
		fmt.Fprintf(c.App.Writer, "%s: ", st.Clone)
		if st.Report == nil {
			fmt.Fprintf(c.App.Writer, "no report yet, %s\n", st.State)
			continue
		}
		st.Report.Text(c.App.Writer, c.Bool("verbose"))
	}
	return nil
}

func logsCommand() *cli.Command {
	return &cli.Command{
		Name:      "logs",
		Usage:     "print the console log of a clone",
		ArgsUsage: "CLONE",
		Flags:     []cli.Flag{homeFlag(), &cli.BoolFlag{Name: "follow", Aliases: []string{"f"}, Usage: "go on while the clone lives"}},
		Action: func(c *cli.Context) error {
			s, cl, err := oneClone(c)
			if err != nil {
				return err
			}
			return follow(c.Context, c.App.Writer, s, cl, c.Bool("follow"))
		},
	}
}

func consoleCommand() *cli.Command {
	return &cli.Command{
		Name:      "console",
		Usage:     "watch the console of a clone, until it ends or Ctrl-C",
		ArgsUsage: "CLONE",
		Flags:     []cli.Flag{homeFlag()},
		Action: func(c *cli.Context) error {
			s, cl, err := oneClone(c)
			if err != nil {
				return err
			}
			return follow(c.Context, c.App.Writer, s, cl, true)
		},
	}
}

// follow copies the console log, and goes on while the clone lives where on is set.
func follow(ctx context.Context, w io.Writer, s *fleet.State, cl fleet.Clone, on bool) error {
	alive, err := s.Fetch(ctx, cl)
	if err != nil {
		return err
	}
	f, err := os.Open(cl.Console())
	if errors.Is(err, fs.ErrNotExist) {
		return report.Faultf(report.Usage, "cannot read the console of %s: it was never started", cl.Name)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := io.Copy(w, f); err != nil || !on || !alive {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(200 * time.Millisecond):
		}
		if alive, err = s.Fetch(ctx, cl); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func shellCommand() *cli.Command {
	return &cli.Command{
		Name:      "shell",
		Usage:     "run a shell, or a command, in a clone",
		ArgsUsage: "CLONE [COMMAND...]",
		Flags:     []cli.Flag{homeFlag()},
		Action:    shell,
	}
}

func shell(c *cli.Context) error {
	s, cl, err := oneClone(c)
	if err != nil {
		return err
	}
	argv := c.Args().Tail()
	if len(argv) > 0 && argv[0] == "--" {
		argv = argv[1:]
	}
	if len(argv) == 0 {
		argv = []string{"/bin/sh", "-c", "exec $(command -v bash || echo sh) -l"}
	}
	cmd, err := s.Command(c.Context, cl, argv...)
	if err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.App.Reader, c.App.Writer, c.App.ErrWriter
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return report.Said(report.Code(exit.ExitCode()))
	}
	return err
}

// oneClone finds the clone that the first argument names: a clone, or a fleet of one.
func oneClone(c *cli.Context) (*fleet.State, fleet.Clone, error) {
	b, name, err := benchAndName(c)
	if err != nil {
		return nil, fleet.Clone{}, err
	}
	s, clones, err := b.Find(name)
	if err != nil {
		return nil, fleet.Clone{}, err
	}
	if len(clones) != 1 {
		return nil, fleet.Clone{}, report.Faultf(report.Usage, "cannot %s %s: it is a fleet of %d clones", c.Command.Name, name, len(clones)).
			WithHint("goldsmith %s %s", c.Command.Name, clones[0].Name)
	}
	return s, clones[0], nil
}
