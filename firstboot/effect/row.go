package effect

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"goldsmith/firstboot/cut"
	"goldsmith/firstboot/host"
	"goldsmith/firstboot/journal"
	"goldsmith/firstboot/plan"
)

// writeRows makes all changes of one schema in one transaction. Each row is locked and compared first, each update is
// guarded by the old value and must hit exactly one row.
func writeRows(ctx context.Context, h *host.Host, _ *journal.Journal, changes []plan.Change) error {
	switch schema := changes[0].Row.Schema; {
	case host.IsSQLite(schema):
		return writeScript(ctx, h, sqlite, changes)
	case host.IsPostgres(schema):
		return writeScript(ctx, h, postgres, changes)
	}
	db, err := h.DB(ctx)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot begin a transaction: %w", err)
	}
	for _, c := range changes {
		if err := writeRow(ctx, tx, c); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", c.ID(), err), tx.Rollback())
		}
	}
	cut.Point("transaction ready")
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("cannot commit: %w", err)
	}
	cut.Point("transaction committed")
	return nil
}

func writeRow(ctx context.Context, tx *sql.Tx, c plan.Change) error {
	t := c.Row
	table, err := host.QuoteTable(t.Schema, t.Table)
	if err != nil {
		return err
	}
	where, args, err := condition(t.Match)
	if err != nil {
		return err
	}
	now, err := lockRow(ctx, tx, t, table, where, args)
	if err != nil {
		return err
	}
	todo, err := swap(c, now)
	if err != nil || !todo {
		return err
	}
	stmt, args, err := statement(c, table, where, args)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, stmt, args...)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, fmt.Errorf("hit %d rows instead of one", n))
	}
	return nil
}

// lockRow reads the place with a lock. A row that is gone is an absent value.
func lockRow(ctx context.Context, tx *sql.Tx, t *plan.Target, table, where string, args []any) (plan.Value, error) {
	col := "'there'"
	if t.Column != "" {
		var err error
		if col, err = host.Quote(t.Column); err != nil {
			return plan.Gone, err
		}
	}
	var v sql.NullString
	err := tx.QueryRowContext(ctx, "SELECT "+col+" FROM "+table+" WHERE "+where+" FOR UPDATE", args...).Scan(&v)
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && !v.Valid:
		return plan.Gone, nil
	case err != nil:
		return plan.Gone, err
	case t.Column == "":
		return plan.Text(""), nil
	}
	return plan.Text(v.String), nil
}

func statement(c plan.Change, table, where string, args []any) (string, []any, error) {
	if c.Row.Column == "" {
		if !c.Want.Absent {
			return "", nil, errors.New("rows can be removed, not made")
		}
		return "DELETE FROM " + table + " WHERE " + where, args, nil
	}
	col, err := host.Quote(c.Row.Column)
	if err != nil {
		return "", nil, err
	}
	guarded := append([]any{nullable(c.Want)}, args...)
	return "UPDATE " + table + " SET " + col + "=? WHERE " + where + " AND " + col + "<=>?", append(guarded, nullable(c.Was)), nil
}

func nullable(v plan.Value) any {
	if v.Absent {
		return nil
	}
	return v.Text
}

// condition renders the columns that name a row, in a stable order.
func condition(match map[string]string) (string, []any, error) {
	if len(match) == 0 {
		return "", nil, errors.New("no column names the row")
	}
	cols := make([]string, 0, len(match))
	for c := range match {
		cols = append(cols, c)
	}
	slices.Sort(cols)
	var parts []string
	var args []any
	for _, c := range cols {
		q, err := host.Quote(c)
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, q+"=?")
		args = append(args, match[c])
	}
	return strings.Join(parts, " AND "), args, nil
}

// writeDBUser sets the password hash of one account. Key is user@host. The statement is atomic and durable by itself
// (mysql.global_priv is an Aria table with its own log).
func writeDBUser(ctx context.Context, h *host.Host, _ *journal.Journal, changes []plan.Change) error {
	c := changes[0]
	user, from, accounts, err := dbAccounts(ctx, h, c)
	if err != nil {
		return err
	}
	now, ok := accounts[from]
	if !ok {
		now = plan.Gone
	}
	todo, err := swap(c, now)
	if err != nil || !todo {
		return err
	}
	return alterAccount(ctx, h, c, "SET PASSWORD FOR "+quoteText(user)+"@"+quoteText(from)+" = "+quoteText(c.Want.Text))
}

// writeDBHost binds an account to another host. RENAME USER is atomic, and takes all its grants along.
func writeDBHost(ctx context.Context, h *host.Host, _ *journal.Journal, changes []plan.Change) error {
	c := changes[0]
	user, from, accounts, err := dbAccounts(ctx, h, c)
	if err != nil {
		return err
	}
	_, before := accounts[from]
	if _, after := accounts[c.Want.Text]; after == before {
		return fmt.Errorf("%s: %w", c.ID(), ErrMoved)
	} else if after {
		return nil
	}
	return alterAccount(ctx, h, c, "RENAME USER "+quoteText(user)+"@"+quoteText(from)+" TO "+quoteText(user)+"@"+quoteText(c.Want.Text))
}

// dbAccounts splits a change's key, user@host, and returns the hashes of the user's accounts by their hosts.
func dbAccounts(ctx context.Context, h *host.Host, c plan.Change) (user, from string, accounts map[string]plan.Value, err error) {
	at := strings.LastIndexByte(c.Key, '@')
	if at < 0 {
		return "", "", nil, fmt.Errorf("%s: no account is named", c.ID())
	}
	user, from, accounts = c.Key[:at], c.Key[at+1:], map[string]plan.Value{}
	users, err := h.DBUsers(ctx)
	for _, u := range users {
		if u["user"] == user {
			accounts[u["host"]] = plan.Text(u["hash"])
		}
	}
	return user, from, accounts, err
}

func alterAccount(ctx context.Context, h *host.Host, c plan.Change, statement string) error {
	db, err := h.DB(ctx)
	if err != nil {
		return err
	}
	cut.Point("account read")
	_, err = db.ExecContext(ctx, statement)
	cut.Point("account set")
	if err != nil {
		return fmt.Errorf("%s: %w", c.ID(), err)
	}
	return nil
}

// quoteText quotes a string for a statement that takes no parameters.
func quoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
