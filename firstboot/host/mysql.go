package host

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// queryTimeout bounds one question to the local database server.
const queryTimeout = 60 * time.Second

// errNoSuchTable is ER_NO_SUCH_TABLE of MariaDB's list of errors.
const errNoSuchTable = 1146

// sockets are where Debian's and RHEL's MariaDB listen.
var sockets = []string{"/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/var/run/mysqld/mysqld.sock"}

// DB returns a connection to the local server as its root over the unix socket, without a password: unix_socket
// authentication is what Debian and RHEL set up, and packstack's /root/.my.cnf is not needed then.
func (h *Host) DB(ctx context.Context) (*sql.DB, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.db != nil {
		return h.db, nil
	}
	sock, err := h.mysqlSocket()
	if err != nil {
		return nil, err
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr = "root", "unix", sock
	cfg.Timeout, cfg.InterpolateParams, cfg.Logger = 5*time.Second, false, quiet{}
	cfg.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES'"}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("cannot set up the database connection: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(4)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, fmt.Errorf("cannot reach MariaDB at %s: %w: %w", sock, ErrNoDatabase, err)
	}
	h.db = db
	return db, nil
}

// quiet drops what the driver would print beside its errors.
type quiet struct{}

func (quiet) Print(...any) {}

// mysqlSocket finds the server's socket. A tree that is not running has no server, unless the caller names one.
func (h *Host) mysqlSocket() (string, error) {
	if h.opt.MySQL != "" {
		return h.opt.MySQL, nil
	}
	if !h.running {
		return "", fmt.Errorf("%w: a tree has none; name its socket", ErrNoDatabase)
	}
	for _, s := range sockets {
		if c, err := net.Dial("unix", s); err == nil {
			c.Close()
			return s, nil
		}
	}
	return "", fmt.Errorf("%w at %s", ErrNoDatabase, strings.Join(sockets, " or "))
}

// identifier is what we are willing to quote into SQL. OpenStack and OpenNebula use nothing else.
var identifier = regexp.MustCompile(`^[A-Za-z0-9_$-]{1,64}$`)

// Quote returns a schema, table or column name in backticks, or an error for one that no stack would use.
func Quote(name string) (string, error) {
	if !identifier.MatchString(name) {
		return "", fmt.Errorf("cannot use %q as an SQL identifier", name)
	}
	return "`" + name + "`", nil
}

// QuoteTable returns schema.table in backticks.
func QuoteTable(schema, table string) (string, error) {
	s, err1 := Quote(schema)
	t, err2 := Quote(table)
	return s + "." + t, errors.Join(err1, err2)
}

// Schemas returns the names of the databases.
func (h *Host) Schemas(ctx context.Context) ([]string, error) {
	rows, err := h.query(ctx, "SELECT schema_name AS name FROM information_schema.schemata ORDER BY schema_name")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range rows {
		names = append(names, r["name"])
	}
	return names, nil
}

// Rows returns the named columns, all without names, of all rows of a table in the order of its primary key.
func (h *Host) Rows(ctx context.Context, schema, table string, columns ...string) ([]Row, error) {
	switch {
	case IsSQLite(schema):
		return h.sqliteRows(ctx, schema, table, columns)
	case IsPostgres(schema):
		return h.postgresRows(ctx, schema, table, columns)
	}
	from, err := QuoteTable(schema, table)
	if err != nil {
		return nil, err
	}
	quoted := make([]string, len(columns))
	for i, c := range columns {
		if quoted[i], err = Quote(c); err != nil {
			return nil, err
		}
	}
	order, err := h.primaryKey(ctx, schema, table)
	if err != nil {
		return nil, err
	}
	if len(quoted) == 0 {
		quoted = []string{"*"}
	}
	q := "SELECT " + strings.Join(quoted, ",") + " FROM " + from
	if len(order) > 0 {
		q += " ORDER BY " + strings.Join(order, ",")
	}
	return h.query(ctx, q)
}

func (h *Host) primaryKey(ctx context.Context, schema, table string) ([]string, error) {
	rows, err := h.query(ctx, "SELECT column_name AS name FROM information_schema.key_column_usage WHERE "+
		"constraint_name='PRIMARY' AND table_schema=? AND table_name=? ORDER BY ordinal_position", schema, table)
	if err != nil {
		return nil, err
	}
	var cols []string
	for _, r := range rows {
		q, err := Quote(r["name"])
		if err != nil {
			return nil, err
		}
		cols = append(cols, q)
	}
	return cols, nil
}

// DBUsers returns the accounts of the server. The hash is what SET PASSWORD takes; empty for accounts without one.
func (h *Host) DBUsers(ctx context.Context) ([]Row, error) {
	return h.query(ctx, "SELECT user, host, authentication_string AS hash FROM mysql.user ORDER BY user, host")
}

func (h *Host) query(ctx context.Context, q string, args ...any) ([]Row, error) {
	db, err := h.DB(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := dbContext(ctx)
	defer cancel()
	rows, err := db.QueryContext(ctx, q, args...)
	if me := (*mysql.MySQLError)(nil); errors.As(err, &me) && me.Number == errNoSuchTable {
		return nil, fmt.Errorf("cannot query the database: %w: %w", ErrNoTable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot query the database: %w", err)
	}
	defer rows.Close()
	return scanRows(rows)
}

func scanRows(rows *sql.Rows) ([]Row, error) {
	cols, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var out []Row
	for rows.Next() {
		vals := make([]sql.NullString, len(cols))
		ptrs := make([]any, len(cols))
		for i := range vals {
			ptrs[i] = &vals[i]
		}
		if err := rows.Scan(ptrs...); err != nil {
			return nil, err
		}
		row := Row{}
		for i, v := range vals {
			if v.Valid {
				row[strings.ToLower(cols[i])] = v.String
			}
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
