// Package effect is how each kind of change is read and written: one file per family of kinds. It is the only package
// that uses the writing half of host.
//
// Every effect obeys the same law, compare-and-swap: what stands at the place is read again just before writing. Want there
// already: done. Was there: write. Anything else: [ErrMoved], and nothing of the batch is written.
package effect

import (
	"context"
	"errors"
	"fmt"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// ErrMoved means that a place holds neither what was planned from nor what was planned to: somebody else is at work.
var ErrMoved = errors.New("place has changed since it was planned")

// A Batch is a run of changes that become durable together: all edits of one file, all rows of one schema, all of OVSDB.
type Batch struct {
	Name    string // unique within a plan
	Changes []plan.Change
	write   func(context.Context, *host.Host, *journal.Journal, []plan.Change) error
}

// Batches cuts a plan into batches, keeping the order of first appearance.
func Batches(p *plan.Plan) ([]Batch, error) {
	var list []Batch
	at := map[string]int{}
	for _, c := range p.Changes {
		name, write, err := family(c)
		if err != nil {
			return nil, err
		}
		i, ok := at[name]
		if !ok {
			i = len(list)
			at[name] = i
			list = append(list, Batch{Name: name, write: write})
		}
		list[i].Changes = append(list[i].Changes, c)
	}
	return list, nil
}

// family returns the batch that a change belongs to, and how that batch is written.
func family(c plan.Change) (string, func(context.Context, *host.Host, *journal.Journal, []plan.Change) error, error) {
	switch c.Kind {
	case plan.File:
		return "file " + c.Where, writeFile, nil
	case plan.Row:
		if c.Row == nil {
			return "", nil, fmt.Errorf("cannot apply %s: no row is named", c.ID())
		}
		return "schema " + c.Row.Schema, writeRows, nil
	case plan.DBUser:
		return "dbuser " + c.Key, writeDBUser, nil
	case plan.DBHost:
		return "dbhost " + c.Key, writeDBHost, nil
	case plan.OVS:
		return ovsBatch, writeOVS, nil
	case plan.Hostname:
		return "hostname", writeHostname, nil
	case plan.Size:
		return sizeBatch, writeSize, nil
	}
	if _, ok := codecs[c.Kind]; ok {
		return "settings " + c.Where, writeSettings, nil
	}
	return "", nil, fmt.Errorf("cannot apply %s: unknown kind", c.ID())
}

// Apply announces the batch in the journal with the restarts that it will owe, and makes it durable.
func (b Batch) Apply(ctx context.Context, h *host.Host, j *journal.Journal) error {
	if err := j.Begin(b.Name, plan.Restarts(b.Changes), nil); err != nil {
		return err
	}
	if err := b.write(ctx, h, j, b.Changes); err != nil {
		return fmt.Errorf("cannot apply %s: %w", b.Name, err)
	}
	return nil
}

// swap is compare-and-swap for one value: it tells whether c still has to be written.
func swap(c plan.Change, now plan.Value) (bool, error) {
	switch now {
	case c.Want:
		return false, nil
	case c.Was:
		return true, nil
	}
	m := c.Masked()
	if c.Secret {
		return false, fmt.Errorf("%s: %w", c.ID(), ErrMoved)
	}
	return false, fmt.Errorf("%s: %w: planned from %.80q, found %.80q", c.ID(), ErrMoved, m.Was.String(), now.String())
}
