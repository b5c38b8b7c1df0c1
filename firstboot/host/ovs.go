package host

import (
	"context"
	"fmt"

	"goldsmith/firstboot/host/ovsdb"
)

// ovsSocket is where Debian's and RHEL's Open vSwitch listen.
const ovsSocket = "/run/openvswitch/db.sock"

// OVSFile is the database of Open vSwitch.
const OVSFile = "/etc/openvswitch/conf.db"

// OVSDB returns the way to the machine's Open vSwitch database: its socket while the server runs, else the file through
// ovsdb-tool, which takes the same transactions. conf.db is never edited as text: every record carries a SHA-1, and after a
// sed the server comes up empty (measured).
func (h *Host) OVSDB(ctx context.Context) (ovsdb.Transactor, error) {
	sock := h.opt.OVSDB
	if sock == "" && h.running {
		sock = ovsSocket
	}
	if sock != "" {
		if c, err := ovsdb.Dial(ctx, sock); err == nil {
			return c, nil
		} else if h.opt.OVSDB != "" {
			return nil, fmt.Errorf("%w: %w", ErrNoOVS, err)
		}
	}
	if _, err := h.Stat(OVSFile); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoOVS, err)
	}
	return ovsdb.File(h.root.dir + OVSFile), nil
}

// CompactOVS takes the history out of the database's file, which is a log: the golden MAC would stand in it for years. A
// server that cannot be told keeps it; that names nobody, and is no fault.
func (h *Host) CompactOVS(ctx context.Context, t ovsdb.Transactor) error {
	switch t := t.(type) {
	case *ovsdb.Client:
		_ = t.Compact(ctx)
	case ovsdb.File:
		data, err := t.Compacted(ctx)
		if err != nil {
			return err
		}
		return h.Replace(OVSFile, data, Meta{Mode: 0o640})
	}
	return nil
}

// OVS returns columns of every record of a table, keyed by the record's name.
func (h *Host) OVS(ctx context.Context, table string, columns ...string) (map[string]Row, error) {
	t, err := h.OVSDB(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	recs, err := ovsdb.Select(ctx, t, table, columns...)
	if err != nil {
		return nil, err
	}
	out := map[string]Row{}
	for name, cols := range recs {
		out[name] = Row(cols)
	}
	return out, nil
}
