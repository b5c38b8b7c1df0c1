package ovsdb

import (
	"context"
	"encoding/json"
	"fmt"
)

// Select returns columns of all records of a table, keyed by the column "name", or by "_uuid" in a table that has none. A
// map column is flattened to "column:key"; a set of one is its element; an empty set or map has no entry.
func Select(ctx context.Context, t Transactor, table string, columns ...string) (map[string]map[string]string, error) {
	key := nameColumn(table)
	op := map[string]any{"op": "select", "table": table, "where": []any{}, "columns": append([]string{key}, columns...)}
	res, err := t.Transact(ctx, []any{op})
	if err != nil {
		return nil, fmt.Errorf("cannot read OVSDB table %s: %w", table, err)
	}
	var sel struct {
		Rows []map[string]any `json:"rows"`
	}
	if err := json.Unmarshal(res[0], &sel); err != nil {
		return nil, fmt.Errorf("cannot read OVSDB table %s: %w", table, err)
	}
	out := map[string]map[string]string{}
	for _, row := range sel.Rows {
		name := ""
		flat := map[string]string{}
		for col, v := range row {
			flatten(flat, col, v)
			if col == key {
				name = flat[key]
			}
		}
		out[name] = flat
	}
	return out, nil
}

// nameColumn is the column that people know a record by. The table Open_vSwitch has one record and no name.
func nameColumn(table string) string {
	if table == "Open_vSwitch" || table == "Manager" || table == "Controller" {
		return "_uuid"
	}
	return "name"
}

// flatten reads the notation of RFC 7047, 5.1: ["map",[[k,v],...]], ["set",[...]], ["uuid","..."], or a plain value.
func flatten(into map[string]string, col string, v any) {
	list, ok := v.([]any)
	if !ok || len(list) != 2 {
		into[col] = fmt.Sprint(v)
		return
	}
	switch list[0] {
	case "map":
		pairs, _ := list[1].([]any)
		for _, p := range pairs {
			if kv, ok := p.([]any); ok && len(kv) == 2 {
				into[col+":"+fmt.Sprint(kv[0])] = fmt.Sprint(kv[1])
			}
		}
	case "set":
		if elems, _ := list[1].([]any); len(elems) == 1 {
			flatten(into, col, elems[0])
		}
	default: // uuid, named-uuid
		into[col] = fmt.Sprint(list[1])
	}
}

// An Edit changes one entry of a map column by compare-and-swap.
type Edit struct {
	Table, Record, Column, Key string
	Was, Want                  string // "" for an entry that is not there
}

// Apply makes all edits in one transaction, or none: a wait operation with timeout 0 guards each against a value that is
// not what was planned (RFC 7047, 5.2.6).
func Apply(ctx context.Context, t Transactor, edits []Edit) error {
	var ops []any
	for _, e := range edits {
		ops = append(ops, e.guard(), e.mutate())
	}
	_, err := t.Transact(ctx, ops)
	return err
}

func (e Edit) where() []any {
	if nameColumn(e.Table) == "_uuid" {
		return []any{[]any{"_uuid", "==", []any{"uuid", e.Record}}}
	}
	return []any{[]any{nameColumn(e.Table), "==", e.Record}}
}

// guard waits until the column's entry is as planned. RFC 7047 lets a wait condition use "includes" and "excludes".
func (e Edit) guard() any {
	where := e.where()
	if e.Was != "" {
		where = append(where, []any{e.Column, "includes", ovsMap(e.Key, e.Was)})
	}
	return map[string]any{"op": "wait", "table": e.Table, "timeout": 0, "where": where, "columns": []any{"_uuid"},
		"until": "!=", "rows": []any{}}
}

func (e Edit) mutate() any {
	var muts []any
	if e.Was != "" || e.Want == "" {
		muts = append(muts, []any{e.Column, "delete", []any{"set", []any{e.Key}}})
	}
	if e.Want != "" {
		muts = append(muts, []any{e.Column, "insert", ovsMap(e.Key, e.Want)})
	}
	return map[string]any{"op": "mutate", "table": e.Table, "where": e.where(), "mutations": muts}
}

func ovsMap(k, v string) []any { return []any{"map", []any{[]any{k, v}}} }
