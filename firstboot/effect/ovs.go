package effect

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"goldsmith/firstboot/cut"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/host/ovsdb"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// writeOVS makes all changes in one transaction of the database itself. Where is the table, Key "record column:key".
func writeOVS(ctx context.Context, h *host.Host, _ *journal.Journal, changes []plan.Change) error {
	t, err := h.OVSDB(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	var edits []ovsdb.Edit
	for _, c := range changes {
		e, todo, err := ovsEdit(ctx, t, c)
		if err != nil {
			return err
		}
		if todo {
			edits = append(edits, e)
		}
	}
	if len(edits) == 0 {
		return nil
	}
	cut.Point("ovsdb ready")
	err = ovsdb.Apply(ctx, t, edits)
	cut.Point("ovsdb committed")
	if err != nil {
		return err
	}
	return h.CompactOVS(ctx, t)
}

const ovsBatch = "ovsdb"

// redoOVS compacts the database, where it still is: the transaction may have been made, and the cut have come then.
func redoOVS(ctx context.Context, h *host.Host) error {
	t, err := h.OVSDB(ctx)
	if errors.Is(err, host.ErrNoOVS) {
		return nil
	}
	if err != nil {
		return err
	}
	defer t.Close()
	return h.CompactOVS(ctx, t)
}

func ovsEdit(ctx context.Context, t ovsdb.Transactor, c plan.Change) (ovsdb.Edit, bool, error) {
	record, place, ok := strings.Cut(c.Key, " ")
	column, key, ok2 := strings.Cut(place, ":")
	if !ok || !ok2 {
		return ovsdb.Edit{}, false, fmt.Errorf("%s: no map entry is named", c.ID())
	}
	recs, err := ovsdb.Select(ctx, t, c.Where, column)
	if err != nil {
		return ovsdb.Edit{}, false, err
	}
	now := plan.Gone
	if v, ok := recs[record][place]; ok {
		now = plan.Text(v)
	}
	todo, err := swap(c, now)
	return ovsdb.Edit{Table: c.Where, Record: record, Column: column, Key: key, Was: c.Was.Text, Want: c.Want.Text}, todo, err
}
