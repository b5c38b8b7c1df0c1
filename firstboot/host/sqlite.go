package host

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoSQLite is returned, wrapped, where a database is an SQLite file and the sqlite3 tool is not installed. A pure Go SQLite
// is as large as all of firstboot; the tool is 1 MB and a package of every distribution.
var ErrNoSQLite = errors.New("the sqlite3 tool is not installed\nhint: put the package sqlite3 into the image")

// IsSQLite tells whether a schema is a path: the SQLite file of a service that has no server.
func IsSQLite(schema string) bool { return strings.HasPrefix(schema, "/") }

// sqliteRows is Rows for an SQLite file. Values travel as hex, so no byte of them can be taken for a separator.
func (h *Host) sqliteRows(ctx context.Context, file, table string, columns []string) ([]Row, error) {
	quoted, err := Quote(table)
	if err != nil {
		return nil, err
	}
	have, err := h.SQLite(ctx, file, "PRAGMA table_info("+quoted+");")
	if err != nil {
		return nil, err
	}
	known, order := columnsOf(have)
	if len(known) == 0 {
		return nil, fmt.Errorf("%s has no table %s", file, table)
	}
	if len(columns) == 0 {
		columns = known
	}
	list := make([]string, len(columns))
	for i, c := range columns {
		q, err := Quote(c)
		if err != nil {
			return nil, err
		}
		list[i] = "CASE WHEN " + q + " IS NULL THEN '-' ELSE hex(CAST(" + q + " AS BLOB)) END"
	}
	out, err := h.SQLite(ctx, file, "SELECT "+strings.Join(list, ",")+" FROM "+quoted+order+";")
	if err != nil {
		return nil, err
	}
	return hexRows(out, columns)
}

// columnsOf reads "PRAGMA table_info": cid|name|type|notnull|default|pk. The second value orders by the primary key.
func columnsOf(info string) (names []string, order string) {
	var key []string
	for line := range strings.Lines(info) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) < 6 {
			continue
		}
		names = append(names, f[1])
		if f[len(f)-1] != "0" {
			key = append(key, "`"+f[1]+"`")
		}
	}
	if len(key) > 0 {
		order = " ORDER BY " + strings.Join(key, ",")
	}
	return names, order
}

func hexRows(out string, columns []string) ([]Row, error) {
	var rows []Row
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) != len(columns) {
			return nil, fmt.Errorf("the tool printed %d columns instead of %d", len(f), len(columns))
		}
		row := Row{}
		for i, c := range columns {
			if f[i] == "-" {
				continue
			}
			v, err := hex.DecodeString(f[i])
			if err != nil {
				return nil, fmt.Errorf("cannot read what the tool printed: %w", err)
			}
			row[strings.ToLower(c)] = string(v)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// SQLite runs a script on an SQLite file and returns what it prints. The first error ends it and rolls an open transaction back.
// A file that is not there is fs.ErrNotExist: sqlite3 would make it.
func (h *Host) SQLite(ctx context.Context, file, script string) (string, error) {
	real, err := h.resolve(file)
	if err != nil {
		return "", err
	}
	if st, err := h.Lstat(real); err != nil || !st.Mode().IsRegular() {
		return "", errors.Join(err, fmt.Errorf("cannot open database %s: %w", file, fs.ErrNotExist))
	}
	dir, err := h.root.open(path.Dir(real), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	tool, err := exec.LookPath("sqlite3")
	if err != nil {
		return "", fmt.Errorf("cannot open database %s: %w", file, ErrNoSQLite)
	}
	ctx, cancel := dbContext(ctx)
	defer cancel()
	// The descriptor keeps the path inside the root, whatever links the tree holds.
	cmd := exec.CommandContext(ctx, tool, "-batch", "-bail", "-init", "/dev/null", "-list", "-separator", "|",
		"/proc/self/fd/3/"+path.Base(real))
	cmd.ExtraFiles = []*os.File{dir}
	cmd.Stdin = strings.NewReader(".timeout 5000\nPRAGMA synchronous=FULL;\n" + script + "\n")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cannot use database %s: %w: %s", file, err, firstLine(complaint.String()))
	}
	return out.String(), nil
}

// firstLine keeps an error short: sqlite3 repeats the statement below it, secrets and all.
func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// SQLiteText renders a value, whatever its bytes, as an SQL expression.
func SQLiteText(v string) string {
	return "CAST(x'" + hex.EncodeToString([]byte(v)) + "' AS TEXT)"
}
