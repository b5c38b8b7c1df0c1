package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/audit"
	"goldsmith/builder/disk"
	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:      "audit",
		Usage:     "find every place where a machine's identity stands, and who owns it",
		ArgsUsage: "IMAGE|DIR",
		Description: "Searches all files for the address, MACs, name and ids of the machine, in every encoding that programs write them\n" +
			"in. The identity is that of the imprint inside, or what the flags say. A place is owned by the rewriter that changes\n" +
			"it on a clone or by the seal operation that forgets it; if any is unowned, the exit code is 5. With an imprint, the\n" +
			"rewriters of its stacks are asked, and a line of a file is owned if they change it; without one, a file is owned as a\n" +
			"whole. What is mounted in DIR is not searched, and an image is not changed.",
		Flags: []cli.Flag{
			homeFlag(), jsonFlag(),
			&cli.StringFlag{Name: "identity", Usage: "take the identity from `FILE`: an imprint or an identity as JSON"},
			&cli.StringSliceFlag{Name: "needle", Usage: "look for `KIND=VALUE`, KIND being address, mac, name, machine-id or uuid; may be repeated"},
			&cli.StringSliceFlag{Name: "accept", Usage: "accept places below `PATH` (a pattern); may be repeated"},
			&cli.StringFlag{Name: "root", Usage: "take `VOLUME` for the root, where several could be"},
			&cli.BoolFlag{Name: "all", Usage: "print owned places, too"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors"},
		},
		Action: auditAction,
	}
}

func auditAction(c *cli.Context) error {
	if c.NArg() != 1 {
		return report.Faultf(report.Usage, "cannot audit: give one image or directory").WithHint("goldsmith audit --help")
	}
	given, err := needleArgs(c)
	if err != nil {
		return err
	}
	root, done, err := openAudited(c, c.Args().First())
	if err != nil {
		return err
	}
	result, err := auditTree(c, root, given)
	if err = errors.Join(err, done()); err != nil {
		return err
	}
	if err := printAudit(c, result); err != nil {
		return err
	}
	if n := len(result.Unowned()); n > 0 {
		return report.Faultf(report.Unverified, "%d places hold the identity and nobody owns them", n).
			WithHint("accept a place with --accept PATH, or give it to a rewriter or a seal operation")
	}
	return nil
}

// needleArgs reads --identity and --needle.
func needleArgs(c *cli.Context) ([]audit.Needle, error) {
	var list []audit.Needle
	if file := c.String("identity"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot read identity: %w", err)
		}
		id, err := readIdentity(b)
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot read identity %s: %w", file, err)
		}
		list = audit.Needles(id)
	}
	kinds := []string{audit.Address, audit.MAC, audit.Name, audit.MachineID, audit.UUID}
	for _, arg := range c.StringSlice("needle") {
		kind, value, ok := strings.Cut(arg, "=")
		if !ok || !slices.Contains(kinds, kind) || value == "" {
			return nil, report.Faultf(report.Usage, "cannot look for %q: it is no KIND=VALUE", arg).
				WithHint("--needle address=192.0.2.1; kinds are %s", strings.Join(kinds, ", "))
		}
		list = append(list, audit.Needle{Kind: kind, Value: strings.ToLower(value)})
	}
	return list, nil
}

// readIdentity reads an imprint, whose baked identity counts, or an identity.
func readIdentity(b []byte) (identity.Identity, error) {
	var both struct {
		identity.Identity
		Baked *identity.Identity `json:"baked"`
	}
	if err := json.Unmarshal(b, &both); err != nil {
		return identity.Identity{}, err
	}
	if both.Baked != nil {
		return *both.Baked, nil
	}
	return both.Identity, nil
}

// readImprint reads the imprint of a golden image; the error says that there is none.
func readImprint(root *tree.FS) (*identity.Imprint, error) {
	b, err := root.ReadFile(identity.ImprintFile)
	if err != nil {
		return nil, err
	}
	var imp identity.Imprint
	if err := json.Unmarshal(b, &imp); err != nil {
		return nil, err
	}
	return &imp, nil
}

// openAudited opens a directory below whatever is mounted in it, or an image without changing it.
func openAudited(c *cli.Context, arg string) (*tree.FS, func() error, error) {
	if st, err := os.Stat(arg); err == nil && st.IsDir() {
		m, err := kernel.CloneTree(arg)
		if err != nil {
			return nil, nil, report.Faultf(report.Usage, "cannot audit: %w", err)
		}
		return tree.At(m.Fd()), m.Close, nil
	}
	image, err := imagePath(c, arg)
	if err != nil {
		return nil, nil, err
	}
	i, err := openQuietly(c, image)
	if err != nil {
		return nil, nil, err
	}
	return i.FS, i.Close, nil
}

func auditTree(c *cli.Context, root *tree.FS, needles []audit.Needle) (*audit.Result, error) {
	imp, err := readImprint(root)
	if len(needles) == 0 {
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot audit: there is no imprint in it that says who it was: %w", err).
				WithHint("say what to look for: --needle address=192.0.2.1 --needle name=golden")
		}
		needles = audit.Needles(imp.Baked)
	}
	own, err := newOwnership(c.Context, root, imp, needles)
	if err != nil {
		return nil, err
	}
	var accept []audit.Acceptance
	for _, p := range c.StringSlice("accept") {
		accept = append(accept, audit.Acceptance{Path: p})
	}
	m := newMeter(c)
	defer m.end()
	return audit.Tree(c.Context, root, audit.Options{
		Needles: needles, Owner: own.of, Accept: accept,
		Progress: func(n int64) { m.tell(disk.Progress{Phase: "search", Done: n}) },
	})
}

func printAudit(c *cli.Context, r *audit.Result) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, r)
	}
	if c.Bool("quiet") {
		return nil
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 4, 2, ' ', 0)
	for _, h := range r.Hits {
		if h.Owner == "" || c.Bool("all") {
			fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\n", orElse(h.Owner, "unowned"), h.Kind, h.Value, h.Encoding, h.Place())
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, u := range r.Unread {
		fmt.Fprintf(c.App.ErrWriter, "not searched: %s\n", u)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Closed)) {
		fmt.Fprintf(c.App.ErrWriter, "not looked into: %d files packed by %s\n", r.Closed[kind], kind)
	}
	return summary(c.App.Writer, r)
}

func summary(w io.Writer, r *audit.Result) error {
	more := ""
	if r.Truncated {
		more = ", and more that were not counted"
	}
	_, err := fmt.Fprintf(w, "%d places, %d unowned%s; %d files, %s searched\n", len(r.Hits), len(r.Unowned()), more, r.Files, disk.Bytes(r.Bytes))
	return err
}
