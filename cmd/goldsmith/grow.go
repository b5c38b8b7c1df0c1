package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/disk"
	"goldsmith/firstboot/report"
)

func growCommand() *cli.Command {
	return &cli.Command{
		Name:      "grow",
		Usage:     "make a disk image larger, with its last partition and its root file system",
		ArgsUsage: "IMAGE SIZE",
		Description: "SIZE is the new size of the disk, as 40G. The image is changed in place and must not be in use. The partition's\n" +
			"start stays where it is. A run that was interrupted is finished by the same command.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "root", Usage: "take `VOLUME` for the root, where several could be"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors"},
		},
		Action: growAction,
	}
}

func growAction(c *cli.Context) error {
	if c.NArg() != 2 {
		return report.Faultf(report.Usage, "cannot grow: give an image and its new size").
			WithHint("goldsmith grow golden.qcow2 40G")
	}
	image, err := imagePath(c, c.Args().Get(0))
	if err != nil {
		return err
	}
	size, err := sizeArg(c.Args().Get(1))
	if err != nil {
		return err
	}
	m := newMeter(c)
	g, err := disk.Grow(c.Context, image, size, disk.GrowOptions{Root: c.String("root"), Progress: m.tell})
	m.end()
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		return printJSON(c.App.Writer, g)
	case c.Bool("quiet"):
		return nil
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: disk %s -> %s, root %s (%s) %s -> %s\n", g.Path, disk.Bytes(g.DiskBefore), disk.Bytes(g.Disk),
		g.Volume, g.FS, disk.Bytes(g.RootBefore), disk.Bytes(g.Root))
	return err
}
