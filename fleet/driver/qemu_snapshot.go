package driver

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"goldsmith/builder/vm/qemu"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// A snapshot of a virtual machine stands inside its overlay, memory included. QEMU writes the table of snapshots last, so
// that one is whole or not there, whoever dies.

// Snapshot implements Snapshotter.
func (Qemu) Snapshot(ctx context.Context, m Machine, name string) error {
	if !m.runs() {
		return report.Faultf(report.Usage, "cannot take a snapshot of %s: it is not running", m.Name)
	}
	return snapshotJob(ctx, m, "snapshot-save", map[string]any{"tag": name, "vmstate": diskNode, "devices": []string{diskNode}})
}

// Restore implements Snapshotter. A machine that has ended is started with the memory of the snapshot.
func (d Qemu) Restore(ctx context.Context, m Machine, name string, record func(process.ID) error) error {
	if m.runs() {
		return snapshotJob(ctx, m, "snapshot-load", map[string]any{"tag": name, "vmstate": diskNode, "devices": []string{diskNode}})
	}
	there, err := diskSnapshots(ctx, overlayOf(m))
	if err != nil {
		return err
	}
	if !slices.Contains(there, name) {
		return fmt.Errorf("cannot find the snapshot %s in %s", name, overlayOf(m))
	}
	if err := d.Remove(ctx, m); err != nil { // what its last process left
		return err
	}
	err = startQemu(ctx, m, func(id process.ID) error {
		m.Process = id
		return record(id)
	}, "-loadvm", name)
	if err != nil {
		return err
	}
	mon, err := openMonitor(ctx, m) // it answers when the memory is there
	if err != nil {
		return err
	}
	return mon.Close()
}

// monitorPatience is how long a QEMU that was just started may take to open its monitor: it may load a memory first.
const monitorPatience = time.Minute

// openMonitor waits for the monitor of a machine that runs, or ends.
func openMonitor(ctx context.Context, m Machine) (*qemu.Monitor, error) {
	for deadline := time.Now().Add(monitorPatience); ; time.Sleep(50 * time.Millisecond) {
		mon, err := qemu.Dial(ctx, qmpOf(m))
		if err == nil || !m.runs() || ctx.Err() != nil || time.Now().After(deadline) {
			return mon, err
		}
	}
}

// Forget implements Snapshotter.
func (Qemu) Forget(ctx context.Context, m Machine, name string) error {
	if !m.runs() {
		return forgetOnDisk(ctx, overlayOf(m), name)
	}
	mon, err := openMonitor(ctx, m)
	if err != nil {
		return err
	}
	defer mon.Close()
	if err := mon.EndJobs(ctx); err != nil { // of a goldsmith that died while one ran
		return err
	}
	var nodes []struct {
		Node  string `json:"node-name"`
		Image struct {
			Snapshots []struct {
				Name string `json:"name"`
			} `json:"snapshots"`
		} `json:"image"`
	}
	if err := mon.Do("query-named-block-nodes", map[string]any{"flat": true}, &nodes); err != nil {
		return err
	}
	for _, n := range nodes {
		for _, s := range n.Image.Snapshots {
			if n.Node == diskNode && s.Name == name {
				return mon.Job(ctx, "snapshot-delete", map[string]any{"tag": name, "devices": []string{diskNode}})
			}
		}
	}
	return nil
}

func snapshotJob(ctx context.Context, m Machine, command string, args map[string]any) error {
	mon, err := openMonitor(ctx, m)
	if err != nil {
		return err
	}
	return errors.Join(mon.Job(ctx, command, args), mon.Close())
}

// forgetOnDisk removes a snapshot from an overlay that no machine uses. An overlay that is not there has none.
func forgetOnDisk(ctx context.Context, overlay, name string) error {
	if !exists(overlay) {
		return nil
	}
	there, err := diskSnapshots(ctx, overlay)
	if err != nil || !slices.Contains(there, name) {
		return err
	}
	_, err = qemuImg(ctx, "snapshot", "-d", name, overlay)
	return err
}

// diskSnapshots lists the names of the snapshots in a qcow2 file.
func diskSnapshots(ctx context.Context, path string) ([]string, error) {
	out, err := qemuImg(ctx, "snapshot", "-l", path)
	return parseSnapshots(out), err
}

// parseSnapshots reads qemu-img's table: two lines of head, then ID, TAG, size and so on. Names of ours hold no blanks.
func parseSnapshots(table string) []string {
	var out []string
	for i, line := range strings.Split(table, "\n") {
		if f := strings.Fields(line); i >= 2 && len(f) >= 2 {
			out = append(out, f[1])
		}
	}
	return out
}

func qemuImg(ctx context.Context, args ...string) (string, error) {
	var why strings.Builder
	cmd := exec.CommandContext(ctx, "qemu-img", args...)
	cmd.Stderr = &why
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("qemu-img %s: %w: %s", args[0], err, strings.TrimSpace(why.String()))
	}
	return string(out), err
}
