package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"
)

// patience is how long QEMU may take to answer a command. Its main loop answers while the guest runs.
const patience = 10 * time.Second

// A Monitor is an open conversation with a machine's monitor (qemu, docs/interop/qmp-spec.txt) or with the agent inside
// (docs/interop/qemu-ga-ref). It is for one caller at a time.
type Monitor struct {
	conn net.Conn
	in   *json.Decoder
	what string
}

// Dial opens the monitor behind a UNIX socket.
func Dial(ctx context.Context, socket string) (*Monitor, error) {
	m, err := dial(ctx, socket, "the machine's monitor")
	if err != nil {
		return nil, err
	}
	var greeting map[string]json.RawMessage
	err = m.in.Decode(&greeting)
	if err == nil && greeting["QMP"] == nil {
		err = errors.New("no greeting")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot talk to the machine's monitor: %w", err), m.Close())
	}
	if err := m.Do("qmp_capabilities", nil, nil); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// DialAgent opens the guest agent behind its channel's socket. The channel is there whether the agent runs or not, so it
// is asked for a sign; what an earlier conversation left in the channel is skipped until it comes.
func DialAgent(ctx context.Context, socket string, limit time.Duration) (*Monitor, error) {
	m, err := dial(ctx, socket, "the guest agent")
	if err != nil {
		return nil, err
	}
	sign := time.Now().UnixNano() & (1<<53 - 1) // any JSON reader keeps it whole
	err = errors.Join(m.conn.SetDeadline(time.Now().Add(limit)),
		json.NewEncoder(m.conn).Encode(call{Execute: "guest-sync", Arguments: map[string]int64{"id": sign}}))
	for err == nil {
		var a answer
		var got int64
		if err = m.in.Decode(&a); err == nil && json.Unmarshal(a.Return, &got) == nil && got == sign {
			return m, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("cannot talk to the guest agent: %w", err), m.Close())
}

func dial(ctx context.Context, socket, what string) (*Monitor, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("cannot reach %s: %w", what, err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Monitor{conn: conn, in: json.NewDecoder(conn), what: what}, nil
}

// Close ends the conversation; the machine does not notice.
func (m *Monitor) Close() error { return m.conn.Close() }

// A call is a command.
type call struct {
	Execute   string `json:"execute"`
	Arguments any    `json:"arguments,omitempty"`
}

// An answer is that to a command, or an event, which has neither field.
type answer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
}

// Do gives a command and waits for its answer, which goes into out unless that is nil. Events in between are skipped.
func (m *Monitor) Do(command string, arguments, out any) error {
	return m.do(patience, command, arguments, out)
}

func (m *Monitor) do(patience time.Duration, command string, arguments, out any) error {
	if err := m.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := json.NewEncoder(m.conn).Encode(call{command, arguments}); err != nil {
		return fmt.Errorf("cannot tell %s to %s: %w", m.what, command, err)
	}
	for {
		var a answer
		if err := m.in.Decode(&a); err != nil {
			return fmt.Errorf("cannot read the answer of %s to %s: %w", m.what, command, err)
		}
		switch {
		case a.Error != nil:
			return fmt.Errorf("cannot %s: %s", command, a.Error.Desc)
		case a.Return == nil:
			continue
		case out == nil:
			return nil
		}
		if err := json.Unmarshal(a.Return, out); err != nil {
			return fmt.Errorf("cannot read the answer of %s to %s: %w", m.what, command, err)
		}
		return nil
	}
}

// Tell gives a machine's monitor one command without arguments.
func Tell(ctx context.Context, socket, command string) error {
	m, err := Dial(ctx, socket)
	if err != nil {
		return err
	}
	return errors.Join(m.Do(command, nil, nil), m.Close())
}
