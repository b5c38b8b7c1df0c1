package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/disk"
	"goldsmith/builder/inspect"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "look into a disk image and say what is in it",
		ArgsUsage: "IMAGE",
		Description: "Prints the disk, its volumes, the system, its network, the stacks found, the addresses that it calls its own,\n" +
			"and what firstboot would rewrite on a clone. The image is not changed: where a journal has to be replayed, that\n" +
			"happens in an overlay which is thrown away.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "root", Usage: "take `VOLUME` for the root, where several could be"},
			&cli.StringFlag{Name: "format", Usage: "take the image for `FORMAT` (raw, qcow2, vmdk, vhdx, vdi, vpc)"},
		},
		Action: inspectAction,
	}
}

// An inspection is the image and the machine in it.
type inspection struct {
	Disk    *disk.Image      `json:"disk"`
	Machine *inspect.Machine `json:"machine,omitempty"`
	Problem string           `json:"problem,omitempty"` // why there is no machine
}

func inspectAction(c *cli.Context) error {
	image, err := imageArg(c, "inspect")
	if err != nil {
		return err
	}
	found, err := look(c, image)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, found)
	}
	return found.print(c.App.Writer)
}

// look opens the image. One whose root cannot be mounted still shows its volumes.
func look(c *cli.Context, image string) (*inspection, error) {
	o := disk.Options{ReadOnly: true, Root: c.String("root"), Format: c.String("format")}
	i, err := disk.Open(c.Context, image, o)
	if err != nil {
		o.Throwaway = true
		i, err = disk.Open(c.Context, image, o)
	}
	if err != nil {
		whole, e := disk.OpenDisk(c.Context, image, o)
		if e != nil {
			return nil, e
		}
		return &inspection{Disk: whole, Problem: err.Error()}, whole.Close()
	}
	m := inspect.Tree(i.FS, owners())
	return &inspection{Disk: i, Machine: &m}, i.Close()
}

// print writes the inspection for eyes.
func (x *inspection) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "image\t%s\n", x.Disk.Path)
	fmt.Fprintf(w, "disk\t%s, %s, partition table %s, opened by %s\n", x.Disk.Format, disk.Bytes(x.Disk.Size), x.Disk.Table, x.Disk.Method)
	for _, b := range x.Disk.Backing {
		fmt.Fprintf(w, "stands on\t%s\n", b)
	}
	for _, v := range x.Disk.Volumes {
		mark := ""
		if v.Name == x.Disk.Root {
			mark = ", the root"
		}
		if v.Refused != "" {
			mark += ", cannot be opened: " + v.Refused
		}
		fmt.Fprintf(w, "volume %s\t%s, %s%s%s\n", v.Name, orElse(v.FS, "unknown"), disk.Bytes(v.Size), label(v), mark)
	}
	for _, s := range x.Disk.Skipped {
		fmt.Fprintf(w, "not mounted\t%s\n", s)
	}
	if x.Machine == nil {
		fmt.Fprintf(w, "machine\t%s\n", x.Problem)
		return w.Flush()
	}
	printMachine(w, x.Machine)
	return w.Flush()
}

func label(v disk.Volume) string {
	if l := orElse(v.FSLabel, v.Label); l != "" {
		return fmt.Sprintf(", %q", l)
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func printMachine(w io.Writer, m *inspect.Machine) {
	fmt.Fprintf(w, "system\t%s\n", orElse(m.OS.Name, "unknown"))
	fmt.Fprintf(w, "kernels\t%s\n", orElse(strings.Join(m.Kernels, ", "), "none"))
	fmt.Fprintf(w, "host name\t%s\n", orElse(m.Hostname, "none"))
	fmt.Fprintf(w, "machine id\t%s\n", m.MachineID)
	fmt.Fprintf(w, "network by\t%s\n", findings(m.Network))
	fmt.Fprintf(w, "DHCP by\t%s\n", findings(m.DHCP))
	fmt.Fprintf(w, "stacks\t%s\n", findings(m.Stacks))
	for _, o := range m.Obstacles {
		fmt.Fprintf(w, "cannot be cloned\t%s: %s\n", o.By, o.Why)
	}
	for _, p := range m.Addresses {
		fmt.Fprintf(w, "address\t%s in %s\n", p.Value, p.Where)
	}
	for _, p := range m.MACs {
		fmt.Fprintf(w, "MAC\t%s in %s\n", p.Value, p.Where)
	}
	switch {
	case m.Imprint != nil:
		fmt.Fprintf(w, "goldsmith\timage %s, stacks %s\n", m.Imprint.Image, orElse(strings.Join(m.Imprint.Stacks, ", "), "none"))
	case m.Firstboot:
		fmt.Fprintf(w, "goldsmith\tfirstboot is in it, an imprint is not\n")
	default:
		fmt.Fprintf(w, "goldsmith\tno imprint: this is not a golden image yet\n")
	}
	for _, o := range m.Owns {
		fmt.Fprintf(w, "rewrites\t%s in %s\n", o.By, o.File)
	}
}

func findings(list []inspect.Finding) string {
	var names []string
	for _, f := range list {
		names = append(names, f.Name+" ("+f.By+")")
	}
	return orElse(strings.Join(names, ", "), "none found")
}
