package rewriters

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"goldsmith/firstboot/plan"
)

// machineID replaces the machine id of an earlier life. An image that was sealed holds the word "uninitialized", systemd
// makes the id itself, and there is nothing to do here; an image that was not, or a clone of a clone, keeps the golden id
// otherwise, and DHCP clients derive their identity from it.
func machineID() Rewriter {
	return Rewriter{
		Name: "machine-id", Short: "machine id, from which DHCP clients derive their identity", Phase: Local, Base: true,
		Owns: []Place{
			{Where: "/etc/machine-id", Why: "systemd's id of this machine"},
			{Where: "/var/lib/dbus/machine-id", Why: "the same, where D-Bus keeps a copy of its own"},
		},
		Plan: planMachineID,
	}
}

func planMachineID(_ context.Context, s *Scene) error {
	if s.To.MachineID == "" {
		return nil
	}
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		info, err := s.Host.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		data, err := s.Host.ReadFile(path)
		if err != nil {
			return err
		}
		if now := strings.TrimSpace(string(data)); len(now) != 32 || now == s.To.MachineID {
			continue
		}
		if err := s.File(path, []byte(s.To.MachineID+"\n"), plan.Meta{Mode: 0o444}, "the id belongs to the golden image"); err != nil {
			return err
		}
	}
	return nil
}
