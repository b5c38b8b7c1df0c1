package main

import (
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
)

func snapshotCommand() *cli.Command {
	return &cli.Command{
		Name:      "snapshot",
		Usage:     "keep the state of clones under a name, or list what is kept",
		ArgsUsage: "FLEET|CLONE [NAME]",
		Description: "All named clones get the snapshot, or none. Each stands still for a moment and goes on. What a snapshot holds depends on\n" +
			"the driver: " + snapshotKinds() + ". Snapshots go with their clone.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "remove", Usage: "remove the snapshot NAME instead"},
		},
		Action: snapshot,
	}
}

// snapshotKinds says what the drivers keep.
func snapshotKinds() string {
	var kinds []string
	for _, d := range driver.All() {
		switch d.Capabilities().Snapshots {
		case driver.DiskSnapshots:
			kinds = append(kinds, d.Name()+" the disk, and the clone boots anew from it")
		case driver.MemorySnapshots:
			kinds = append(kinds, d.Name()+" disk and memory, and the clone goes on where it was")
		}
	}
	return strings.Join(kinds, "; ")
}

func snapshot(c *cli.Context) error {
	if c.NArg() > 2 || c.NArg() == 1 && c.Bool("remove") {
		return report.Faultf(report.Usage, "cannot snapshot: want a fleet or a clone, and one name").
			WithHint("goldsmith snapshot demo before-upgrade")
	}
	b, name, err := benchAndName(c)
	if err != nil {
		return err
	}
	say := narrator(c)
	switch snap := c.Args().Get(1); {
	case snap == "":
		return printSnapshots(c, b, name)
	case c.Bool("remove"):
		return b.RemoveSnapshot(c.Context, name, snap)
	default:
		return b.Snapshot(c.Context, name, snap, func(clone string) { say("%s is kept as %s", clone, snap) })
	}
}

// A keeping is a line of the list of snapshots.
type keeping struct {
	Clone string `json:"clone"`
	fleet.Snapshot
}

func printSnapshots(c *cli.Context, b fleet.Bench, name string) error {
	_, clones, err := b.Find(name)
	if err != nil {
		return err
	}
	list, rows := []keeping{}, [][]string{{"CLONE", "SNAPSHOT", "TAKEN"}}
	for _, cl := range clones {
		for _, snap := range cl.Snapshots {
			list = append(list, keeping{cl.Name, snap})
			rows = append(rows, []string{cl.Name, snap.Name, snap.Taken.Format(time.DateTime)})
		}
	}
	if c.Bool("json") {
		return writeJSON(c.App.Writer, list)
	}
	return writeTable(c.App.Writer, rows)
}

func restoreCommand() *cli.Command {
	return &cli.Command{
		Name:      "restore",
		Usage:     "take clones back to a snapshot",
		ArgsUsage: "FLEET|CLONE NAME",
		Description: "What the clones have become since the snapshot is lost. Clones that have ended run again afterwards. The snapshot stays.\n" +
			"Where it holds the disk only, the clones boot: goldsmith wait tells when they are back.",
		Flags: []cli.Flag{homeFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() != 2 {
				return report.Faultf(report.Usage, "cannot restore: want a fleet or a clone, and the name of a snapshot").
					WithHint("goldsmith snapshot FLEET lists them")
			}
			b, name, err := benchAndName(c)
			if err != nil {
				return err
			}
			say, snap := narrator(c), c.Args().Get(1)
			return b.Restore(c.Context, name, snap, func(clone string) { say("%s is back at %s", clone, snap) })
		},
	}
}
