package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
)

// A Machine is what a machine shows of itself, without being told.
type Machine struct {
	NICs       []identity.NIC // by name; none in a tree
	SystemUUID string         // SMBIOS product_uuid, lower case; empty in containers, in trees and where the firmware has none
	MachineID  string         // /etc/machine-id; empty while it is "uninitialized"
	Container  bool
}

// Look reads the machine's own facts. In a tree there are only the files. On the running machine it waits, briefly, for the
// device manager to name the links: before that, ens3 is still called eth0.
func Look(ctx context.Context, h host.Reader) (Machine, error) {
	var m Machine
	var errs [3]error
	m.MachineID, errs[0] = machineID(h)
	if h.Running() {
		m.Container = container(h)
		errs[1] = Settle(ctx, h)
		m.NICs, errs[2] = nics(m.Container)
		if !m.Container {
			m.SystemUUID = systemUUID(h)
		}
	}
	return m, errors.Join(errs[:]...)
}

func machineID(h host.Reader) (string, error) {
	data, ok, err := optional(h, "/etc/machine-id")
	id := strings.TrimSpace(string(data))
	if err != nil || !ok || id == "uninitialized" {
		return "", err
	}
	if len(id) != 0 && (len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "") {
		return "", fmt.Errorf("cannot use /etc/machine-id: %.40q is not 32 hexadecimal digits", id)
	}
	return id, nil
}

// systemUUID returns "" for what firmware writes when nobody gave it a number.
func systemUUID(h host.Reader) string {
	data, err := h.ReadFile("/sys/class/dmi/id/product_uuid")
	if err != nil {
		return "" // no SMBIOS (s390x), or not root
	}
	id := strings.ToLower(strings.TrimSpace(string(data)))
	switch strings.Trim(id, "-0") {
	case "", strings.Trim("ffffffff-ffff-ffff-ffff-ffffffffffff", "-0"):
		return ""
	}
	return id
}

// container tells whether the machine shares its kernel with a host.
func container(h host.Reader) bool {
	for _, p := range []string{"/run/systemd/container", "/run/host/container-manager", "/.dockerenv", "/run/.containerenv"} {
		if _, err := h.Stat(p); err == nil {
			return true
		}
	}
	env, err := h.ReadFile("/proc/1/environ")
	return err == nil && (bytes.HasPrefix(env, []byte("container=")) || bytes.Contains(env, []byte("\x00container=")))
}

// settleFor bounds how long a busy device manager can hold us up.
const settleFor = 10 * time.Second

// Settle waits until udev has worked through its queue, so that drives are there and links have their names. Without udev
// there is nothing to wait for. A queue that does not drain is not our failure: what is there by then is looked at.
func Settle(ctx context.Context, h host.Reader) error {
	if _, err := h.Stat("/run/udev/control"); err != nil {
		return nil
	}
	deadline := time.NewTimer(settleFor)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := h.Stat("/run/udev/queue"); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return nil
		case <-tick.C:
		}
	}
}
