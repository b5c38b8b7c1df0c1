package effect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"goldsmith/firstboot/cut"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/plan"
)

// writeSQLite makes all changes of one SQLite file in one transaction. Each place is compared first; each update is guarded by
// the old value, and a row count other than one trips a CHECK, which ends the script and rolls it back.
func writeSQLite(ctx context.Context, h *host.Host, changes []plan.Change) error {
	file := changes[0].Row.Schema
	var script strings.Builder
	script.WriteString("BEGIN IMMEDIATE;\nCREATE TEMP TABLE one_row (n CHECK (n = 1));\n")
	todo := false
	for _, c := range changes {
		stmt, err := sqliteStatement(ctx, h, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.ID(), err)
		}
		if stmt != "" {
			todo = true
			script.WriteString(stmt + ";\nINSERT INTO one_row VALUES (changes());\n")
		}
	}
	if !todo {
		return nil
	}
	script.WriteString("COMMIT;")
	cut.Point("transaction ready")
	_, err := h.SQLite(ctx, file, script.String())
	cut.Point("transaction committed")
	return err
}

// sqliteStatement returns the guarded statement for a change, "" where nothing is left to do.
func sqliteStatement(ctx context.Context, h *host.Host, c plan.Change) (string, error) {
	now, err := sqliteValue(ctx, h, c.Row)
	if err != nil {
		return "", err
	}
	if todo, err := swap(c, now); err != nil || !todo {
		return "", err
	}
	table, err := host.Quote(c.Row.Table)
	if err != nil {
		return "", err
	}
	where, err := sqliteWhere(c.Row.Match)
	if err != nil {
		return "", err
	}
	if c.Row.Column == "" {
		if !c.Want.Absent {
			return "", errors.New("rows can be removed, not made")
		}
		return "DELETE FROM " + table + " WHERE " + where, nil
	}
	col, err := host.Quote(c.Row.Column)
	if err != nil {
		return "", err
	}
	return "UPDATE " + table + " SET " + col + "=" + sqliteLiteral(c.Want) + " WHERE " + where + " AND " + col + " IS " +
		sqliteLiteral(c.Was), nil
}

func sqliteLiteral(v plan.Value) string {
	if v.Absent {
		return "NULL"
	}
	return host.SQLiteText(v.Text)
}

// sqliteWhere names the row. Key columns are numbers or texts; both compare as text.
func sqliteWhere(match map[string]string) (string, error) {
	if len(match) == 0 {
		return "", errors.New("no column names the row")
	}
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(match)) {
		q, err := host.Quote(c)
		if err != nil {
			return "", err
		}
		parts = append(parts, "CAST("+q+" AS TEXT)="+host.SQLiteText(match[c]))
	}
	return strings.Join(parts, " AND "), nil
}

// sqliteValue reads the place. A row that is gone is an absent value.
func sqliteValue(ctx context.Context, h *host.Host, t *plan.Target) (plan.Value, error) {
	cols := slices.Sorted(maps.Keys(t.Match))
	if t.Column != "" {
		cols = append(cols, t.Column)
	}
	rows, err := h.Rows(ctx, t.Schema, t.Table, cols...)
	if err != nil {
		return plan.Gone, err
	}
	for _, r := range rows {
		if !sameKey(r, t.Match) {
			continue
		}
		if v, ok := r[strings.ToLower(t.Column)]; ok {
			return plan.Text(v), nil
		}
		if t.Column == "" {
			return plan.Text(""), nil
		}
	}
	return plan.Gone, nil
}

func sameKey(r host.Row, match map[string]string) bool {
	for c, v := range match {
		if got, ok := r[strings.ToLower(c)]; !ok || got != v {
			return false
		}
	}
	return true
}
