package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/base/fetch"
	"goldsmith/firstboot/report"
	"goldsmith/images"
)

func imagesCommand() *cli.Command {
	return &cli.Command{
		Name:  "images",
		Usage: "list and fetch the base images that recipes begin with",
		Action: func(c *cli.Context) error {
			return report.Faultf(report.Usage, "cannot do %q with images", c.Args().First()).WithHint("goldsmith images list|show|fetch")
		},
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list the catalogue", Action: imagesList, Flags: []cli.Flag{jsonFlag()}},
			{Name: "show", Usage: "print what is known of a base image", ArgsUsage: "NAME", Action: imagesShow},
			{
				Name: "fetch", Usage: "bring base images into the cache, verified", ArgsUsage: "NAME...", Action: imagesFetch,
				Description: "The image is taken from a local folder, a mirror or the vendor, whichever has it first, and must have the digest\n" +
					"that is pinned or that the vendor's checksum file gives; where the vendor signs that file, gpgv must find the signature\n" +
					"good. An interrupted fetch goes on where it stopped. Local folders,\n" +
					"mirrors and pins stand in images.json of the home: {\"local\": [\"/srv/images\"], \"mirrors\": {\"https://VENDOR/\":\n" +
					"[\"http://MIRROR/\"]}, \"digests\": {\"NAME\": \"sha256:...\"}}.",
				Flags: []cli.Flag{homeFlag(), jsonFlag(), &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but paths"}},
			},
		},
	}
}

func imagesList(c *cli.Context) error {
	if c.NArg() > 0 {
		return report.Faultf(report.Usage, "cannot list %s: list takes no names", c.Args().First()).WithHint("goldsmith images show NAME")
	}
	list, err := fetch.LoadCatalogue(images.FS)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return indented(c.App.Writer, list)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tLOGIN\tNETWORK\tBOOT\tUPDATES UNTIL\tVERIFIED BY\tWHAT")
	for _, e := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Name, e.Login, e.Network, strings.Join(e.Boot, ","), e.EndOfLife, e.Proof(), e.Title)
	}
	return w.Flush()
}

func imagesShow(c *cli.Context) error {
	list, err := fetch.LoadCatalogue(images.FS)
	if err != nil {
		return err
	}
	e, err := list.Find(c.Args().First())
	if err != nil {
		return report.Faultf(report.Usage, "%w", err)
	}
	return indented(c.App.Writer, e)
}

func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func imagesFetch(c *cli.Context) error {
	list, err := fetch.LoadCatalogue(images.FS)
	if err != nil {
		return err
	}
	if c.NArg() == 0 {
		return report.Faultf(report.Usage, "cannot fetch: give a name").WithHint("names: %s", strings.Join(list.Names(), ", "))
	}
	var entries []*fetch.Entry
	for _, name := range c.Args().Slice() {
		e, err := list.Find(name)
		if err != nil {
			return report.Faultf(report.Usage, "%w", err)
		}
		entries = append(entries, e)
	}
	dir, err := home(c)
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "images.json")
	f := &fetch.Fetcher{Dir: filepath.Join(dir, "cache", "images"), Pause: time.Second}
	if f.Config, err = fetch.LoadConfig(config); err != nil {
		return report.Faultf(report.Usage, "%w", err)
	}
	if !c.Bool("quiet") {
		f.Log = c.App.ErrWriter
	}
	return fetchAll(c, f, entries, config)
}

// fetchAll stops at the first image that cannot be had; what is there already is printed.
func fetchAll(c *cli.Context, f *fetch.Fetcher, entries []*fetch.Entry, config string) error {
	for _, e := range entries {
		if !c.Bool("quiet") {
			f.Progress = progressLine(c.App.ErrWriter, e.Name)
		}
		img, err := f.Fetch(c.Context, e)
		if err != nil {
			return report.Faultf(report.Stopped, "%w", err).
				WithHint("goldsmith images fetch %s goes on where it stopped", e.Name).
				WithHint("mirrors, local folders and pinned digests: %s", config)
		}
		if c.Bool("json") {
			err = json.NewEncoder(c.App.Writer).Encode(img)
		} else {
			_, err = fmt.Fprintln(c.App.Writer, img.Path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// progressLine writes a line for every tenth of a download, or every 100 MiB of one whose size is not known: a log stays
// readable, and a terminal shows life.
func progressLine(w io.Writer, name string) func(done, total int64) {
	last := int64(-1)
	return func(done, total int64) {
		step := done / (100 << 20)
		if total > 0 {
			step = done * 10 / total
		}
		if step != last {
			last = step
			fmt.Fprintf(w, "%s: %d MiB %s\n", name, done>>20, fetch.Percent(done, total))
		}
	}
}
