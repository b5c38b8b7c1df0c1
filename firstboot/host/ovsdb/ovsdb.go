// Package ovsdb is a small client of the Open vSwitch Database Management Protocol (RFC 7047): enough to read columns and
// to change map entries by compare-and-swap in one transaction. ovs-vsctl is the oracle of its tests.
package ovsdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// database is the only one that we know.
const database = "Open_vSwitch"

// A Transactor carries one transaction (RFC 7047, 4.1.3) to a database and returns one result per operation.
type Transactor interface {
	Transact(ctx context.Context, ops []any) ([]json.RawMessage, error)
	Close() error
}

// A Client speaks JSON-RPC 1.0 over a stream. It is for one goroutine.
type Client struct {
	conn   net.Conn
	dec    *json.Decoder
	id     int
	socket string
}

// timeout bounds one request to a local server.
const timeout = 10 * time.Second

// Dial connects to a server's unix socket.
func Dial(ctx context.Context, socket string) (*Client, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("cannot reach ovsdb-server: %w", err)
	}
	return &Client{conn: c, dec: json.NewDecoder(c), socket: socket}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

type message struct {
	ID     any               `json:"id"`
	Method string            `json:"method,omitempty"`
	Params []json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage   `json:"result,omitempty"`
	Error  json.RawMessage   `json:"error,omitempty"`
}

// Transact sends one transaction and waits for its reply. An echo that the server sends meanwhile is answered, or it would
// hang up (RFC 7047, 4.1.11).
func (c *Client) Transact(ctx context.Context, ops []any) ([]json.RawMessage, error) {
	result, err := c.call(ctx, "transact", append([]any{database}, ops...))
	if err != nil {
		return nil, err
	}
	return results(result, len(ops))
}

// Compact makes the server write its file anew, without the history of every value. It is told by the server's control
// socket, which has the process's number in its name and stands beside the other.
func (c *Client) Compact(ctx context.Context) error {
	dir := filepath.Dir(c.socket)
	pid, err := os.ReadFile(filepath.Join(dir, "ovsdb-server.pid"))
	if err != nil {
		return fmt.Errorf("cannot find ovsdb-server: %w", err)
	}
	control, err := Dial(ctx, filepath.Join(dir, "ovsdb-server."+string(bytes.TrimSpace(pid))+".ctl"))
	if err != nil {
		return err
	}
	defer control.Close()
	_, err = control.call(ctx, "ovsdb-server/compact", []any{})
	return err
}

func (c *Client) call(ctx context.Context, method string, params []any) (json.RawMessage, error) {
	deadline := time.Now().Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := c.conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	c.id++
	req := map[string]any{"id": c.id, "method": method, "params": params}
	if err := json.NewEncoder(c.conn).Encode(req); err != nil {
		return nil, fmt.Errorf("cannot send to ovsdb-server: %w", err)
	}
	for {
		var m message
		if err := c.dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("cannot read from ovsdb-server: %w", err)
		}
		if m.Method == "echo" {
			if err := c.echo(m); err != nil {
				return nil, err
			}
			continue
		}
		if n, ok := m.ID.(float64); !ok || int(n) != c.id {
			continue
		}
		if len(m.Error) > 0 && string(m.Error) != "null" {
			return nil, fmt.Errorf("ovsdb-server refused %s: %s", method, m.Error)
		}
		return m.Result, nil
	}
}

func (c *Client) echo(m message) error {
	params := m.Params
	if params == nil {
		params = []json.RawMessage{}
	}
	return json.NewEncoder(c.conn).Encode(map[string]any{"id": m.ID, "result": params, "error": nil})
}

// results checks the per-operation results: an array as long as the operations, longer by one when the commit failed.
func results(raw json.RawMessage, ops int) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("cannot read the transaction's result: %w", err)
	}
	var errs []error
	for _, r := range list {
		var e struct {
			Error   string `json:"error"`
			Details string `json:"details"`
		}
		if json.Unmarshal(r, &e) == nil && e.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", e.Error, e.Details))
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("transaction failed: %w", errors.Join(errs...))
	}
	if len(list) < ops {
		return nil, fmt.Errorf("transaction returned %d results for %d operations", len(list), ops)
	}
	return list, nil
}

// File is the database file of a server that is not running. Transactions go through ovsdb-tool, which locks the file,
// appends a record with its checksum and syncs it.
type File string

// Transact runs ovsdb-tool transact.
func (f File) Transact(ctx context.Context, ops []any) ([]json.RawMessage, error) {
	req, err := json.Marshal(append([]any{database}, ops...))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ovsdb-tool", "transact", string(f), string(req))
	var out, errout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(&errout)
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cannot change %s: %w: %s", string(f), err, bytes.TrimSpace(errout.Bytes()))
	}
	return results(out.Bytes(), len(ops))
}

// Compacted returns the file as it would be if its values had always been what they are now: every one that there ever was
// stands in it otherwise.
func (f File) Compacted(ctx context.Context) ([]byte, error) {
	target := string(f) + ".compact"
	away := func() {
		os.Remove(target) // a cut may have left it, and the tool writes over nothing
		os.Remove(filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".~lock~"))
	}
	away()
	defer away()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "ovsdb-tool", "compact", string(f), target).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot compact %s: %w: %s", string(f), err, bytes.TrimSpace(out))
	}
	return os.ReadFile(target)
}

// Close does nothing.
func (f File) Close() error { return nil }
