// Package driver holds the places where clones can live. A driver makes one machine of one golden image, and can tell
// from what is written down about it whether it lives, what it reports, and how to remove every trace of it.
package driver

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
	"goldsmith/fleet/vlan"
)

// A Driver is one kind of place. Every method but Start works from any state of the machine, half-made ones included.
type Driver interface {
	Name() string
	Capabilities() Capabilities
	// Check says all that would keep the machine from being started: tools, rights, the kind of image. It touches nothing.
	Check(ctx context.Context, m Machine) error
	// Create makes the files of the machine below m.Dir, which exists and is empty.
	Create(ctx context.Context, m Machine) error
	// Start lets a created machine run. record is called once when its process exists and before it runs.
	Start(ctx context.Context, m Machine, record func(process.ID) error) error
	// Stop asks the machine to power off, and after patience ends it.
	Stop(ctx context.Context, m Machine, patience time.Duration) error
	// Remove ends the machine if it lives and removes all that Create and Start made, but m.Dir's files.
	Remove(ctx context.Context, m Machine) error
	// Alive says whether the machine runs. It fails where the machine is on another host that does not answer.
	Alive(ctx context.Context, m Machine) (bool, error)
	// Fetch brings home what a machine on another host has said since the last time; others need no bringing.
	Fetch(ctx context.Context, m Machine) error
	// Report returns what firstboot reported in this clone; an error that is os.ErrNotExist means: nothing yet.
	Report(m Machine) (report.Report, error)
	// ReadFile reads a file of the clone, symbolic links resolved inside it. It needs Capabilities.Files.
	ReadFile(m Machine, path string) ([]byte, error)
	// Command prepares a command that runs inside. It needs Capabilities.Exec.
	Command(ctx context.Context, m Machine, argv ...string) (*exec.Cmd, error)
}

// A Snapshotter is a driver that can keep the state of a machine under a name and go back to it. A cut leaves a snapshot
// that Forget removes, and a way back that Restore goes again.
type Snapshotter interface {
	// Snapshot keeps the state of a running machine. The machine stands still meanwhile and goes on afterwards.
	Snapshot(ctx context.Context, m Machine, name string) error
	// Restore takes a machine back, whether it runs or not; it runs afterwards. record is called as in Driver.Start where
	// it has another process then.
	Restore(ctx context.Context, m Machine, name string, record func(process.ID) error) error
	// Forget removes a snapshot, whole or half-taken, and lets a machine go on that stands still for one. None of that
	// name is no error.
	Forget(ctx context.Context, m Machine, name string) error
}

// Capabilities say what a driver can do, so that goldsmith can refuse before it starts.
type Capabilities struct {
	Files     bool     `json:"files"`     // files of a running clone can be read
	Exec      bool     `json:"exec"`      // commands can be run inside without a password
	Namespace bool     `json:"namespace"` // the bridge may stand in a network namespace
	Sizes     bool     `json:"sizes"`     // memory and CPUs can be set
	Hosts     bool     `json:"hosts"`     // machines can live on another host
	Channels  []string `json:"channels"`  // how a clone reports, the best first
	// Snapshots says what a snapshot holds: nothing where there are none, the disk, after which a machine boots anew, or
	// the memory too, with which it goes on where it was.
	Snapshots string `json:"snapshots,omitempty"`
}

// The ways of a report. Any clone that is told a URL can phone home as well.
const (
	ByFile   = "file in the clone"
	ByPort   = "virtio port"
	BySerial = "serial console"
)

// What a snapshot may hold.
const (
	DiskSnapshots   = "disk"
	MemorySnapshots = "memory"
)

// A Machine is one clone as its driver sees it: what it shall be, and the process that it is.
type Machine struct {
	Name    string         `json:"name"` // host name, unique in a bench's home
	Unit    string         `json:"unit"` // unique on this host, at most 13 letters: names links and cgroups
	Dir     string         `json:"dir"`  // absolute; all files of the machine are below
	Image   Image          `json:"image"`
	MAC     string         `json:"mac"`  // lower case, colons
	UUID    string         `json:"uuid"` // SMBIOS, for drivers that have firmware
	Network vlan.Network   `json:"network"`
	Connect string         `json:"connect,omitempty"`    // URI of the libvirtd that it lives in
	Pool    string         `json:"pool,omitempty"`       // storage pool there, where that is another host's
	Memory  int            `json:"memory_mib,omitempty"` // MiB; zero: the driver's own choice
	CPUs    int            `json:"cpus,omitempty"`
	Claim   identity.Claim `json:"claim"`
	Off     bool           `json:"firstboot_off,omitempty"` // firstboot shall do nothing: to prove that the proof fails then
	Process process.ID     `json:"process,omitzero"`
}

// runs says whether the machine's process on this host lives.
func (m Machine) runs() bool { return m.Process.Alive() }

// Console is the file that everything goes to which the machine says on its console.
func (m Machine) Console() string { return filepath.Join(m.Dir, "console.log") }

// openConsole opens the console log for a new run.
func (m Machine) openConsole() (*os.File, error) {
	return os.OpenFile(m.Console(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// An Image is a golden image on this bench.
type Image struct {
	Name string `json:"name"`
	Root string `json:"root,omitempty"` // the sealed tree; empty where the bench keeps none
	Disk string `json:"disk,omitempty"` // qcow2 or raw; empty where the bench keeps none
}

// ByName returns the driver of that name.
func ByName(name string) (Driver, bool) {
	for _, d := range All() {
		if d.Name() == name {
			return d, true
		}
	}
	return nil, false
}

// All lists the drivers, the cheapest first.
func All() []Driver { return []Driver{Nspawn{}, Qemu{}, Libvirt{}} }
