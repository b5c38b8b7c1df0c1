package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"goldsmith/builder/audit"
	"goldsmith/builder/disk"
	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

func auditCommand() *cli.Command {
	return &cli.Command{
		Name:      "audit",
		Usage:     "find every place where a machine's identity stands, and who owns it",
		ArgsUsage: "IMAGE|DIR",
		Description: "Searches all files for the address, MACs, name and ids of the machine, in every encoding that programs write them\n" +
			"in. The identity is that of the imprint inside, or what the flags say. A place is owned by the rewriter that changes\n" +
			"it on a clone or by the seal operation that forgets it; if any is unowned, the exit code is 5. What is mounted in DIR\n" +
			"is not searched, and an image is not changed.",
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
	if len(needles) == 0 {
		b, err := root.ReadFile(identity.ImprintFile)
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot audit: there is no imprint in it that says who it was: %w", err).
				WithHint("say what to look for: --needle address=192.0.2.1 --needle name=golden")
		}
		id, err := readIdentity(b)
		if err != nil {
			return nil, report.Faultf(report.Usage, "cannot read imprint: %w", err)
		}
		needles = audit.Needles(id)
	}
	m := newMeter(c)
	defer m.end()
	return audit.Tree(c.Context, root, audit.Options{
		Needles: needles, Owner: newOwnership(c.StringSlice("accept")).of,
		Progress: func(n int64) { m.tell(disk.Progress{Phase: "search", Done: n}) },
	})
}

// An ownership knows who owns which paths.
type ownership struct {
	list []claim
}

type claim struct{ pattern, owner string }

// newOwnership gathers what rewriters write, what seal operations remove, and what the user accepts.
func newOwnership(accepted []string) *ownership {
	o := &ownership{}
	add := func(pattern, owner string) {
		o.list = append(o.list, claim{"/" + strings.TrimPrefix(pattern, "/"), owner})
	}
	add(identity.ImprintFile, "imprint")
	add(identity.StateDir, "firstboot")
	for _, owner := range owners() {
		for _, f := range owner.Files {
			add(f, "rewriter "+owner.Name)
		}
	}
	for _, r := range rewriters.All() {
		for _, p := range r.Owns {
			if file := tableFile(p.Where); file != "" {
				add(file, "rewriter "+r.Name)
			}
		}
	}
	for _, op := range seal.All() {
		for _, p := range slices.Concat(op.Remove, op.Empty) {
			if !op.Off {
				add(p, "seal "+op.Name)
			}
		}
	}
	for _, f := range databaseLogs {
		add(f, "database (old pages and logs, written over in use)")
	}
	for _, a := range accepted {
		add(a, "accepted")
	}
	return o
}

// databaseLogs hold copies of pages and rows that the tables do not have any more.
var databaseLogs = []string{"var/lib/mysql/ib_logfile*", "var/lib/mysql/undo*", "var/lib/mysql/ib_buffer_pool", "var/lib/mysql/aria_log*"}

// tableFile is where MariaDB keeps "schema.table" or "schema.table.column".
func tableFile(where string) string {
	part := strings.Split(where, ".")
	if strings.HasPrefix(where, "/") || len(part) < 2 || strings.ContainsAny(where, " /*") {
		return ""
	}
	return "var/lib/mysql/" + part[0] + "/" + part[1] + ".ibd"
}

// of names the owner of a hit: of its path, or of a directory above it.
func (o *ownership) of(h audit.Hit) string {
	for p := h.Path; p != "/" && p != "."; p = path.Dir(p) {
		for _, c := range o.list {
			if ok, err := path.Match(c.pattern, p); ok && err == nil {
				return c.owner
			}
		}
	}
	return ""
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
			fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\n", orElse(h.Owner, "unowned"), h.Kind, h.Value, h.Encoding, place(h))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, u := range r.Unread {
		fmt.Fprintf(c.App.ErrWriter, "not searched: %s\n", u)
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

// place renders path:line, or path@offset for what is no text.
func place(h audit.Hit) string {
	switch {
	case h.Offset < 0:
		return h.Path
	case h.Line > 0:
		return fmt.Sprintf("%s:%d", h.Path, h.Line)
	}
	return fmt.Sprintf("%s@%d", h.Path, h.Offset)
}
