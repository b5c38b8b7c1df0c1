package main

import (
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
)

func removeCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "remove fleets or clones, and all that was made for them",
		ArgsUsage: "FLEET|CLONE...",
		Description: "What is not there is no error. Nothing is left: no process, mount, link, network namespace, cgroup or file. The golden\n" +
			"image stays.",
		Flags: []cli.Flag{
			homeFlag(),
			&cli.BoolFlag{Name: "now", Usage: "do not ask the clones to power off first"},
			&cli.DurationFlag{Name: "patience", Usage: "let a clone take `TIME` to power off", Value: 15 * time.Second},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return report.Faultf(report.Usage, "cannot remove: want the name of a fleet or a clone").WithHint("goldsmith list")
			}
			b, err := settledBench(c)
			if err != nil {
				return err
			}
			patience := c.Duration("patience")
			if c.Bool("now") {
				patience = 0
			}
			for _, name := range c.Args().Slice() {
				if err := b.Remove(c.Context, name, patience); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
