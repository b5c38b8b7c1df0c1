package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"goldsmith/builder/vm/qemu"
)

// Snapshot leaves the machine's disks as they are for good and lets it write into the overlays next from now on, one for
// each disk, which stand on them. The guest's file systems are frozen for that moment where its agent runs, and synced
// where not; our key is out of its disk meanwhile.
func (m *Machine) Snapshot(ctx context.Context, next []string) error {
	if err := m.session(ctx, dropKey+"; sync", nil, io.Discard); err != nil {
		return fmt.Errorf("cannot take a checkpoint: the machine does not sync: %w", err)
	}
	thaw := m.freeze(ctx)
	err := m.pivot(ctx, next)
	if err := errors.Join(err, thaw()); err != nil {
		return fmt.Errorf("cannot take a checkpoint: %w", err)
	}
	return m.session(ctx, putKey(m.key.line), nil, io.Discard)
}

// pivot puts all disks onto their overlays in one transaction.
func (m *Machine) pivot(ctx context.Context, next []string) error {
	q, err := qemu.Dial(ctx, m.file("qmp"))
	if err != nil {
		return err
	}
	defer q.Close()
	m.count++
	var actions []map[string]any
	nodes := make([]string, len(m.nodes))
	for i, node := range m.nodes {
		nodes[i] = fmt.Sprintf("disk%d-%d", i, m.count)
		actions = append(actions, map[string]any{"type": "blockdev-snapshot-sync", "data": map[string]string{
			"node-name": node, "snapshot-file": next[i], "snapshot-node-name": nodes[i], "format": "qcow2", "mode": "existing"}})
	}
	if err := q.Do("transaction", map[string]any{"actions": actions}, nil); err != nil {
		return err
	}
	m.nodes = nodes
	return nil
}

// agentPatience is how long a guest agent may take to show itself, and then to freeze.
const agentPatience = 3 * time.Second

// freeze asks the agent, where there is one, to hold the file systems still, and returns what lets them go.
func (m *Machine) freeze(ctx context.Context) func() error {
	nothing := func() error { return nil }
	if m.noAgent {
		return nothing
	}
	ga, err := qemu.DialAgent(ctx, m.file("ga"), agentPatience)
	if err != nil {
		m.noAgent = true // it would have been there since the boot
		return nothing
	}
	if err := ga.Do("guest-fsfreeze-freeze", nil, nil); err != nil { // forbidden by EL's default, or not possible
		m.noAgent = true
		return ga.Close
	}
	return func() error { return errors.Join(ga.Do("guest-fsfreeze-thaw", nil, nil), ga.Close()) }
}

// Lock takes our key out of the machine for good: the connection that stands is the last one.
func (m *Machine) Lock(ctx context.Context) error {
	if err := m.session(ctx, dropKey+"; sync", nil, io.Discard); err != nil {
		return fmt.Errorf("cannot take the key out of the machine: %w", err)
	}
	return nil
}
