package main

import (
	"errors"
	"os/exec"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
)

func sshCommand() *cli.Command {
	return &cli.Command{
		Name:      "ssh",
		Usage:     "log in to a clone over its network, from wherever that is",
		ArgsUsage: "CLONE [ssh's own options and command...]",
		Description: "Runs ssh inside the network that the clone stands in, which may be a lab that the host cannot reach. Host keys are not\n" +
			"kept: a clone of the same name and address is another machine tomorrow.",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.StringFlag{Name: "login", Aliases: []string{"l"}, Usage: "log in as `USER`", Value: "root"},
		},
		Action: secureShell,
	}
}

func secureShell(c *cli.Context) error {
	s, cl, err := oneClone(c)
	if err != nil {
		return err
	}
	all, err := s.Look(c.Context, []fleet.Clone{cl})
	if err != nil {
		return err
	}
	if !all[0].Address.IsValid() {
		return report.Faultf(report.Usage, "cannot log in to %s: it has no address", cl.Name).WithHint("goldsmith wait %s", cl.Name)
	}
	argv := append([]string{
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
		"-l", c.String("login"), all[0].Address.String(),
	}, c.Args().Tail()...)
	cmd := exec.CommandContext(c.Context, "ssh", argv...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.App.Reader, c.App.Writer, c.App.ErrWriter
	err = s.Network.Do(cmd.Run)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return report.Said(report.Code(exit.ExitCode()))
	}
	return err
}
