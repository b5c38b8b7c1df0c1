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

// A dialect is the SQL of a database that is spoken to through its own tool.
type dialect struct {
	run   func(h *host.Host, ctx context.Context, schema, script string) (string, error)
	begin string
	// counted runs a statement and notes how many rows it hit.
	counted func(statement string) string
	quote   func(string) (string, error)
	text    func(string) string
	same    string // compares, also with NULL
}

// The dialects. A row count other than one trips the CHECK, which ends the script and rolls it back.
var (
	sqlite = &dialect{
		run:     (*host.Host).SQLite,
		begin:   "BEGIN IMMEDIATE;\nCREATE TEMP TABLE one_row (n CHECK (n = 1));\n",
		counted: func(st string) string { return st + ";\nINSERT INTO one_row VALUES (changes());\n" },
		quote:   host.Quote,
		text:    host.SQLiteText,
		same:    " IS ",
	}
	postgres = &dialect{
		run:   (*host.Host).Postgres,
		begin: "BEGIN;\nCREATE TEMP TABLE one_row (n int CHECK (n = 1)) ON COMMIT DROP;\n",
		counted: func(st string) string {
			return "WITH hit AS (" + st + " RETURNING 1) INSERT INTO one_row SELECT count(*) FROM hit;\n"
		},
		quote: host.QuoteStandard,
		text:  host.PostgresText,
		same:  " IS NOT DISTINCT FROM ",
	}
)

// writeScript makes all changes of one database in one transaction. Each place is compared first; each update is guarded by
// the old value.
func writeScript(ctx context.Context, h *host.Host, d *dialect, changes []plan.Change) error {
	var script strings.Builder
	script.WriteString(d.begin)
	todo := false
	for _, c := range changes {
		stmt, err := d.statement(ctx, h, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.ID(), err)
		}
		if stmt != "" {
			todo = true
			script.WriteString(d.counted(stmt))
		}
	}
	if !todo {
		return nil
	}
	script.WriteString("COMMIT;")
	cut.Point("transaction ready")
	_, err := d.run(h, ctx, changes[0].Row.Schema, script.String())
	cut.Point("transaction committed")
	return err
}

// statement returns the guarded statement for a change, "" where nothing is left to do.
func (d *dialect) statement(ctx context.Context, h *host.Host, c plan.Change) (string, error) {
	now, err := rowValue(ctx, h, c.Row)
	if err != nil {
		return "", err
	}
	if todo, err := swap(c, now); err != nil || !todo {
		return "", err
	}
	table, err := d.quote(c.Row.Table)
	if err != nil {
		return "", err
	}
	where, err := d.where(c.Row.Match)
	if err != nil {
		return "", err
	}
	if c.Row.Column == "" {
		if !c.Want.Absent {
			return "", errors.New("rows can be removed, not made")
		}
		return "DELETE FROM " + table + " WHERE " + where, nil
	}
	col, err := d.quote(c.Row.Column)
	if err != nil {
		return "", err
	}
	return "UPDATE " + table + " SET " + col + "=" + d.literal(c.Want) + " WHERE " + where + " AND " + col + d.same + d.literal(c.Was), nil
}

func (d *dialect) literal(v plan.Value) string {
	if v.Absent {
		return "NULL"
	}
	return d.text(v.Text)
}

// where names the row. Key columns are numbers, UUIDs or texts; all compare as text.
func (d *dialect) where(match map[string]string) (string, error) {
	if len(match) == 0 {
		return "", errors.New("no column names the row")
	}
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(match)) {
		q, err := d.quote(c)
		if err != nil {
			return "", err
		}
		parts = append(parts, "CAST("+q+" AS TEXT)="+d.literal(plan.Text(match[c])))
	}
	return strings.Join(parts, " AND "), nil
}

// rowValue reads the place. A row that is gone is an absent value.
func rowValue(ctx context.Context, h *host.Host, t *plan.Target) (plan.Value, error) {
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
