package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/disk"
	"goldsmith/firstboot/report"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:      "export",
		Usage:     "write a disk image in another format",
		ArgsUsage: "IMAGE",
		Description: "The result is sparse, compressed where the format can, and without the blocks that no file uses. IMAGE may be\n" +
			"of any format that can be opened, an OVA too, and is not changed.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "format", Aliases: []string{"f"}, Required: true, Usage: "write `FORMAT`: " + strings.Join(disk.ExportFormats(), ", ")},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE` (default: the image's name with the format's suffix, here)"},
			&cli.BoolFlag{Name: "force", Usage: "write over an existing file"},
			&cli.BoolFlag{Name: "compat", Usage: "compress qcow2 by zlib, for qemu before 5.1"},
			&cli.BoolFlag{Name: "fast", Usage: "do not compress qcow2"},
			&cli.BoolFlag{Name: "keep-free", Usage: "copy also blocks that no file uses"},
			&cli.IntFlag{Name: "cpus", Value: 2, Usage: "let the OVF ask for `N` processors"},
			&cli.StringFlag{Name: "memory", Value: "4G", Usage: "let the OVF ask for `SIZE` of memory"},
			&cli.IntFlag{Name: "nics", Value: 1, Usage: "let the OVF ask for `N` network cards"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors"},
		},
		Action: exportAction,
	}
}

func exportAction(c *cli.Context) error {
	image, err := imageArg(c, "export")
	if err != nil {
		return err
	}
	memory, err := sizeArg(c.String("memory"))
	if err != nil {
		return err
	}
	if c.Int("cpus") < 1 || c.Int("nics") < 1 {
		return report.Faultf(report.Usage, "cannot export: a machine needs at least one processor and one network card")
	}
	out := c.String("output")
	if out == "" {
		out = defaultOutput(c.Args().First(), c.String("format"))
	}
	m := newMeter(c)
	e, err := disk.Export(c.Context, image, disk.ExportOptions{
		Out: out, Format: c.String("format"), Overwrite: c.Bool("force"), Zlib: c.Bool("compat"), Fast: c.Bool("fast"),
		KeepFree: c.Bool("keep-free"), Progress: m.tell,
		Machine: disk.Machine{CPUs: c.Int("cpus"), Memory: memory, NICs: c.Int("nics")},
	})
	m.end()
	switch {
	case err != nil:
		return err
	case c.Bool("json"):
		return printJSON(c.App.Writer, e)
	case c.Bool("quiet"):
		return nil
	}
	if e.Skipped != "" {
		fmt.Fprintf(c.App.ErrWriter, "free blocks were kept: %s\n", e.Skipped)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %s of %s, %s dropped\nsha256 %s\n", e.Path, disk.Bytes(e.FileSize), disk.Bytes(e.Virtual),
		disk.Bytes(e.Dropped), e.SHA256)
	return err
}

// defaultOutput is the image's name with the format's suffix, in the working directory.
func defaultOutput(image, format string) string {
	name := filepath.Base(filepath.Clean(image))
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	return name + "." + format
}
