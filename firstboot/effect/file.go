package effect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// writeFile replaces, creates or removes one whole file.
func writeFile(_ context.Context, h *host.Host, j *journal.Journal, changes []plan.Change) error {
	c := changes[0]
	now, err := readFile(h, c.Where)
	if err != nil {
		return err
	}
	todo, err := swap(c, now)
	if err != nil || !todo {
		return err
	}
	if c.Want.Absent {
		return h.Remove(c.Where)
	}
	meta, err := resolveMeta(h, c.Meta)
	if err != nil {
		return err
	}
	if err := h.MkdirAll(path.Dir(c.Where), 0o755); err != nil {
		return err
	}
	return store(h, j, c.Where, []byte(c.Want.Text), meta)
}

func readFile(h *host.Host, name string) (plan.Value, error) {
	data, err := h.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return plan.Gone, nil
	}
	return plan.Text(string(data)), err
}

// store writes a file by rename, or in place where a rename would do harm; the latter only after the journal holds the
// whole content.
func store(h *host.Host, j *journal.Journal, name string, data []byte, meta host.Meta) error {
	err := h.Replace(name, data, meta)
	if !errors.Is(err, host.ErrInPlace) {
		return err
	}
	batch := "in place " + name
	if err := j.Begin(batch, nil, &journal.Redo{Path: name, Data: data}); err != nil {
		return err
	}
	if err := h.WriteInPlace(name, data); err != nil {
		return err
	}
	return j.Done(batch)
}

// Redo repairs the in-place writes that a cut may have torn, takes out of Open vSwitch's log what a transaction before the cut has
// left in it, and removes the temporary files that the cut may have left: what is planned now may have no use for their names. It
// runs before anything is planned.
func Redo(ctx context.Context, h *host.Host, j *journal.Journal) error {
	var errs []error
	for _, batch := range j.Begun() {
		switch batch {
		case sizeBatch:
			redoSize(ctx, h)
		case ovsBatch:
			errs = append(errs, redoOVS(ctx, h))
		}
		if kind, name, _ := strings.Cut(batch, " "); kind == "file" || kind == "settings" {
			errs = append(errs, h.RemoveTemporary(name))
		}
	}
	for batch, r := range j.Redos() {
		err := h.WriteInPlace(r.Path, r.Data)
		if err == nil {
			err = j.Done(batch)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// resolveMeta looks user and group names up in the machine's own files: a mounted tree has other numbers than the bench,
// and a static binary has no NSS.
func resolveMeta(h *host.Host, m *plan.Meta) (host.Meta, error) {
	if m == nil {
		return host.Meta{Mode: 0o644}, nil
	}
	mode := fs.FileMode(m.Mode)
	if mode == 0 {
		mode = 0o644
	}
	uid, err1 := lookup(h, "/etc/passwd", m.Owner)
	gid, err2 := lookup(h, "/etc/group", m.Group)
	return host.Meta{Mode: mode, UID: uid, GID: gid}, errors.Join(err1, err2)
}

func lookup(h *host.Host, file, name string) (int, error) {
	if name == "" || name == "root" {
		return 0, nil
	}
	data, err := h.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("cannot look up %s: %w", name, err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		f := strings.Split(line, ":")
		if len(f) > 2 && f[0] == name {
			return strconv.Atoi(f[2])
		}
	}
	return 0, fmt.Errorf("cannot look up %s: not in %s", name, file)
}
