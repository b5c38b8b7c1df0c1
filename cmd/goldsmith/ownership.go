package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"goldsmith/builder/audit"
	"goldsmith/builder/inspect"
	"goldsmith/builder/seal"
	"goldsmith/builder/tree"
	"goldsmith/firstboot/effect"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/plan"
	"goldsmith/firstboot/rewriters"
)

// An ownership knows whose the places of one tree are. A file that rewriters would change is judged line by line: they are
// asked, in a trial, what they would make of it. The rest is judged by its path.
type ownership struct {
	rewrites map[string]*rewrite // by path
	claims   audit.Claims
}

// A rewrite is what becomes of one file.
type rewrite struct {
	by     string
	gone   bool            // the file is removed
	lines  []string        // of the file as it is
	left   map[string]bool // lines that stay
	spoilt bool            // a line that changes still names the golden machine
}

// newOwnership gathers what seal operations would still find, what rewriters change and what they leave alone. Without an
// imprint nobody knows which rewriters will run, so that all are asked, by the names of their files.
func newOwnership(ctx context.Context, root *tree.FS, imp *identity.Imprint, needles []audit.Needle) (*ownership, error) {
	o := &ownership{rewrites: map[string]*rewrite{}}
	o.claim(identity.ImprintFile, "imprint")
	o.claim(identity.StateDir, "firstboot")
	o.claim(identity.Binary, "firstboot (it knows the marker identity)")
	if err := o.seals(ctx, root); err != nil {
		return nil, err
	}
	if imp == nil {
		for _, owner := range owners() {
			o.files(owner)
		}
		o.rest(rewriters.All(), nil)
		return o, nil
	}
	list, err := rewriters.Select(imp.Stacks)
	if err != nil {
		return nil, err
	}
	unseen, err := o.tryOut(ctx, root, *imp, needles)
	if err != nil {
		return nil, err
	}
	o.rest(list, unseen)
	return o, nil
}

// bakedOwners is the bake's Ownership.
func bakedOwners(ctx context.Context, root *tree.FS, imp identity.Imprint) (func(audit.Hit) string, error) {
	o, err := newOwnership(ctx, root, &imp, audit.Needles(imp.Baked))
	if err != nil {
		return nil, err
	}
	return o.of, nil
}

func (o *ownership) claim(pattern, owner string) {
	o.claims = append(o.claims, audit.Claim{Pattern: pattern, Owner: owner})
}

// seals claims what the operations that run by default would find now: nothing, where they have run.
func (o *ownership) seals(ctx context.Context, root *tree.FS) error {
	ops, err := seal.Choose(nil, nil)
	if err != nil {
		return err
	}
	found, err := seal.Each(ctx, root, ops, true)
	for _, r := range found {
		for _, p := range r.Paths {
			o.claim(seal.Escape(p), "seal "+r.Operation)
		}
	}
	return err
}

func (o *ownership) files(owner inspect.Owner) {
	for _, f := range owner.Files {
		o.claim(f, "rewriter "+owner.Name)
	}
}

// tryOut applies what the rewriters propose to the contents of files. It returns those that need a server, which runs on the
// clone only: what they would do is not all known here.
func (o *ownership) tryOut(ctx context.Context, root *tree.FS, imp identity.Imprint, needles []audit.Needle) ([]string, error) {
	t, _ := try(ctx, root, imp, true) // where they refuse, the proof and adopt say it
	plain, _ := try(ctx, root, imp, false)
	seen := map[string]bool{}
	changes := map[string][]plan.Change{}
	for _, c := range append(t.Changes, plain.Changes...) {
		if strings.HasPrefix(c.Where, "/") && !seen[c.ID()] {
			changes[c.Where] = append(changes[c.Where], c)
		}
		seen[c.ID()] = true
	}
	var errs []error
	for name, list := range changes {
		r, err := newRewrite(root, name, list, needles)
		if r != nil {
			o.rewrites[name] = r
		}
		errs = append(errs, err)
	}
	return t.Unseen, errors.Join(errs...)
}

// newRewrite makes the changes of one file. It returns nil for a file that is not there yet.
func newRewrite(root *tree.FS, name string, changes []plan.Change, needles []audit.Needle) (*rewrite, error) {
	before, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot try the rewriters on %s: %w", name, err)
	}
	after := []byte(changes[0].Want.Text) // empty, where the file goes
	if changes[0].Kind != plan.File {
		if after, _, err = effect.Edited(before, changes); err != nil {
			return nil, fmt.Errorf("cannot try the rewriters on %s: %w", name, err)
		}
	}
	r := &rewrite{gone: changes[0].Want.Absent && changes[0].Kind == plan.File, lines: strings.Split(string(before), "\n"), left: map[string]bool{}}
	var by []string
	for _, c := range changes {
		if !slices.Contains(by, c.By) {
			by = append(by, c.By)
		}
	}
	r.by = "rewriter " + strings.Join(by, ", ")
	for line := range bytes.SplitSeq(after, []byte("\n")) {
		if slices.Contains(r.lines, string(line)) {
			r.left[string(line)] = true
		} else if audit.Names(needles, line) {
			r.spoilt = true
		}
	}
	return r, nil
}

// owns reports whether the line of a hit changes. A file that is no text changes as a whole.
func (r *rewrite) owns(h audit.Hit) bool {
	switch {
	case h.Offset < 0: // its name
		return r.gone
	case h.Line < 1 || h.Line > len(r.lines):
		return true
	}
	return !r.spoilt && !r.left[r.lines[h.Line-1]]
}

// rest claims what is no file's text: tables, Open vSwitch's database, whole files of rewriters that could not be asked, and
// what is left alone with a reason.
func (o *ownership) rest(list []rewriters.Rewriter, unseen []string) {
	for _, r := range list {
		for _, p := range r.Owns {
			for _, f := range tableFiles(p.Where) {
				o.claim(f, "rewriter "+r.Name)
			}
			if strings.HasPrefix(p.Where, "/") && p.Key == "" && slices.Contains(unseen, r.Name) {
				o.claim(p.Where, "rewriter "+r.Name)
			}
		}
		for _, p := range r.Leaves {
			if strings.HasPrefix(p.Where, "/") && p.Key == "" {
				o.claim(p.Where, "left alone by "+r.Name+": "+p.Why)
			}
		}
		if r.Name == "opennebula" {
			o.claim(oneDB, "rewriter opennebula") // its tables, where they are in SQLite
		}
		if r.Name == "openvswitch" {
			o.claim("/etc/openvswitch/conf.db", "rewriter openvswitch")
			o.claim("/var/lib/openvswitch/conf.db", "rewriter openvswitch")
		}
	}
	for _, f := range databaseLogs {
		o.claim(f, "database (old pages and logs, written over in use)")
	}
	for _, f := range bootFiles {
		o.claim(f, "kept (the boot loader names kernels by the id under which they were installed)")
	}
	for _, f := range initramfs {
		o.claim(f, "kept (an initramfs has it until the root is mounted; the next kernel's is made anew)")
	}
}

// oneDB is oned's database without a server.
const oneDB = "/var/lib/one/one.db"

// bootFiles carry the machine id in names and entries: nothing but the next installation of a kernel reads it.
var bootFiles = []string{"/boot/loader", "/boot/efi/loader", "/boot/grub2/grubenv", "/etc/kernel/entry-token"}

var initramfs = []string{"/boot/initramfs-*", "/boot/initrd*"}

// databaseLogs hold copies of pages and rows that the tables do not have any more.
var databaseLogs = []string{"/var/lib/mysql/ibdata1", "/var/lib/mysql/ddl_recovery*.log", "/var/lib/mysql/ib_logfile*", "/var/lib/mysql/undo*", "/var/lib/mysql/ib_buffer_pool", "/var/lib/mysql/aria_log*"}

// tableFiles are where MariaDB keeps "schema.table" or "schema.table.column", or several tables after commas.
func tableFiles(where string) []string {
	schema, tables, ok := strings.Cut(where, ".")
	if !ok || strings.ContainsAny(where, "/*") {
		return nil
	}
	var list []string
	for table := range strings.SplitSeq(tables, ", ") {
		table, _, _ = strings.Cut(table, ".")
		list = append(list, "/var/lib/mysql/"+schema+"/"+table+".ibd")
	}
	return list
}

// of names the owner of a hit.
func (o *ownership) of(h audit.Hit) string {
	if r := o.rewrites[h.Path]; r != nil {
		if r.owns(h) {
			return r.by
		}
		return ""
	}
	if tableVersion(h) {
		return "database (a table's version, which nobody compares between machines)"
	}
	return o.claims.Owner(h.Path)
}

// tableVersion tells the UUID that MariaDB gives to each table when it is made: its last part is a MAC of that machine.
func tableVersion(h audit.Hit) bool {
	ok, err := path.Match("/var/lib/mysql/*/*.frm", h.Path)
	return err == nil && ok && h.Kind == audit.MAC && h.Encoding == "binary"
}
