package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgresPrefix marks a schema that is a database of the local PostgreSQL: "postgresql:engine".
const postgresPrefix = "postgresql:"

// PostgresSchema names a database of the local PostgreSQL, as rows and changes take it.
func PostgresSchema(database string) string { return postgresPrefix + database }

// IsPostgres tells whether a schema is a database of the local PostgreSQL.
func IsPostgres(schema string) bool { return strings.HasPrefix(schema, postgresPrefix) }

// ErrNoPostgres is returned, wrapped, where psql is not installed. A driver in Go is a tenth of firstboot; the tool comes
// with every server.
var ErrNoPostgres = errors.New("the psql tool is not installed\nhint: put the package postgresql (its client) into the image")

// A psqlSession is one running psql: a machine with a small processor pays for each start of one.
type psqlSession struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	complaint bytes.Buffer
}

// psqlEnd is what psql says when it has done a script; it is no hex digit.
const psqlEnd = "=end="

// Postgres runs a script in a database of the local server, as its superuser over the unix socket, and returns what it
// prints. The first error ends it and rolls an open transaction back.
func (h *Host) Postgres(ctx context.Context, schema, script string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.psql(schema)
	if err != nil {
		return "", fmt.Errorf("cannot open database %s: %w", schema, err)
	}
	kill := func() { _ = s.cmd.Process.Kill() } // gone already is what we want
	late, stop := time.AfterFunc(queryTimeout, kill), context.AfterFunc(ctx, kill)
	out, err := s.do(script)
	late.Stop()
	stop()
	if err == nil {
		return out, nil
	}
	delete(h.psqls, schema)
	return "", fmt.Errorf("cannot use database %s: %w", schema, errors.Join(ctx.Err(), s.end(err)))
}

// psql returns the session with a database, a new one where there is none.
func (h *Host) psql(schema string) (*psqlSession, error) {
	if s := h.psqls[schema]; s != nil {
		return s, nil
	}
	socket := h.opt.Postgres
	if socket == "" && !h.running {
		return nil, fmt.Errorf("%w: a tree has none; name the directory of its socket", ErrNoDatabase)
	}
	tool, err := exec.LookPath("psql")
	if err != nil {
		return nil, ErrNoPostgres
	}
	cmd := exec.Command(tool, "-XAqt", "-F|", "-vON_ERROR_STOP=1", "-vVERBOSITY=verbose", "-Upostgres", "-d", strings.TrimPrefix(schema, postgresPrefix))
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "PGCLIENTENCODING=UTF8"}
	if socket != "" {
		cmd.Args = append(cmd.Args, "-h", socket)
	} else if err := h.asPostgres(cmd); err != nil {
		return nil, err
	}
	s := &psqlSession{cmd: cmd}
	cmd.Stderr = &s.complaint
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReader(out)
	// Secrets travel in statements, and PostgreSQL logs a statement that fails.
	if _, err := s.do("SET log_min_error_statement=panic;SET synchronous_commit=on;SET lock_timeout='10s';"); err != nil {
		return nil, s.end(err)
	}
	if h.psqls == nil {
		h.psqls = map[string]*psqlSession{}
	}
	h.psqls[schema] = s
	return s, nil
}

// asPostgres makes the tool run as the server's own user, whom the server knows by the socket ("peer").
func (h *Host) asPostgres(cmd *exec.Cmd) error {
	data, err := h.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(line, ":")
		if len(f) < 4 || f[0] != "postgres" {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return errors.Join(err1, err2)
	}
	return fmt.Errorf("%w: there is no user postgres", ErrNoDatabase)
}

// do runs one script.
func (s *psqlSession) do(script string) (string, error) {
	if _, err := io.WriteString(s.in, script+"\n\\echo "+psqlEnd+"\n"); err != nil {
		return "", err
	}
	var out strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line == psqlEnd+"\n" {
			return out.String(), nil
		}
		out.WriteString(line)
	}
}

// end reaps psql and says why it ended: 2 is no connection, 3 a failed statement.
func (s *psqlSession) end(why error) error {
	s.in.Close()
	err := s.cmd.Wait()
	text := firstLine(s.complaint.String())
	switch code := s.cmd.ProcessState.ExitCode(); {
	case code == 2:
		return fmt.Errorf("%w: %s", ErrNoDatabase, text)
	case code == 3 && strings.Contains(text, " 42P01:"): // undefined_table
		return fmt.Errorf("%w: %s", ErrNoTable, text)
	case text != "":
		return errors.New(text)
	default:
		return errors.Join(why, err)
	}
}

// closePsql ends all sessions.
func (h *Host) closePsql() {
	for _, s := range h.psqls {
		s.in.Close()
		_ = s.cmd.Wait() // all that it was asked for is done
	}
	h.psqls = nil
}

// postgresRows is Rows for a database of PostgreSQL, in the order of the columns that were asked for: some tables have no
// primary key. Values travel as hex, so no byte of them can be taken for a separator.
func (h *Host) postgresRows(ctx context.Context, schema, table string, columns []string) ([]Row, error) {
	from, err := QuoteStandard(table)
	if err == nil && len(columns) == 0 {
		err = errors.New("no column is named")
	}
	if err != nil {
		return nil, err
	}
	list, order := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		q, err := QuoteStandard(c)
		if err != nil {
			return nil, err
		}
		list[i] = "coalesce(encode(convert_to(" + q + "::text,'UTF8'),'hex'),'-')"
		order[i] = strconv.Itoa(i + 1)
	}
	out, err := h.Postgres(ctx, schema, "SELECT "+strings.Join(list, ",")+" FROM "+from+" ORDER BY "+strings.Join(order, ",")+";")
	if err != nil {
		return nil, err
	}
	return hexRows(out, columns)
}

// QuoteStandard is Quote with the quotes of the SQL standard.
func QuoteStandard(name string) (string, error) {
	q, err := Quote(name)
	return strings.ReplaceAll(q, "`", `"`), err
}

// PostgresText renders a text, whatever its bytes, as an SQL expression.
func PostgresText(v string) string {
	return "convert_from(decode('" + hex.EncodeToString([]byte(v)) + "','hex'),'UTF8')"
}
