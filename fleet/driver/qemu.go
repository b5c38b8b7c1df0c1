package driver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/builder/vm/qemu"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// Qemu runs a clone as a virtual machine on an overlay of the golden disk. Without a KVM that can boot a kernel it
// emulates the processor (TCG), which is about twenty times slower.
type Qemu struct{}

// Name implements Driver.
func (Qemu) Name() string { return "qemu" }

// Capabilities implements Driver.
func (Qemu) Capabilities() Capabilities {
	return Capabilities{Namespace: true, Sizes: true, Channels: []string{ByPort, BySerial}, Snapshots: MemorySnapshots}
}

// The sizes of a machine that was not given any.
const (
	defaultMemory = 1024 // MiB
	defaultCPUs   = 1
)

// The files of a machine.
func overlayOf(m Machine) string { return filepath.Join(m.Dir, "disk.qcow2") }
func smbiosOf(m Machine) string  { return filepath.Join(m.Dir, "smbios") }
func qmpOf(m Machine) string     { return filepath.Join(m.Dir, "qmp") }
func portLogOf(m Machine) string { return filepath.Join(m.Dir, "reports") }

// Check implements Driver.
func (Qemu) Check(_ context.Context, m Machine) error {
	errs := []error{needRoot("plug virtual machines into a bridge"), needTool(qemu.Program, "qemu-system-x86")}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot make taps: %w", err).WithHint("modprobe tun"))
	}
	if m.Image.Disk == "" {
		errs = append(errs, report.Faultf(report.Usage, "cannot run %s with qemu: the image has no disk", m.Image.Name).
			WithHint("goldsmith clone %s --driver nspawn", m.Image.Name))
	} else if _, _, err := backing(m.Image.Disk); err != nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot run %s with qemu: %w", m.Image.Name, err))
	}
	if m.Off {
		errs = append(errs, report.Faultf(report.Usage, "cannot switch firstboot off: nothing is written into a virtual machine's disk").
			WithHint("--driver nspawn"))
	}
	if len(qmpOf(m)) >= qemu.MaxSocketPath {
		errs = append(errs, report.Faultf(report.Usage, "cannot make a socket below %s: the path is too long", m.Dir).WithHint("--home DIR"))
	}
	return errors.Join(errs...)
}

// backing tells the format of a golden disk, and its size in bytes.
func backing(path string) (format string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	if h, err := qcow2.Read(f); err == nil {
		return "qcow2", h.Size, nil
	}
	magic := make([]byte, len(qcow2.Magic))
	if _, err := f.ReadAt(magic, 0); err != nil {
		return "", 0, fmt.Errorf("cannot read the disk %s: %w", path, err)
	}
	if string(magic) == qcow2.Magic {
		return "", 0, fmt.Errorf("cannot read the disk %s: %w", path, qcow2.ErrFormat)
	}
	st, err := f.Stat()
	return "raw", st.Size(), err
}

// Create implements Driver.
func (Qemu) Create(_ context.Context, m Machine) error {
	format, size, err := backing(m.Image.Disk)
	if err != nil {
		return err
	}
	if err := (qcow2.Overlay{Backing: m.Image.Disk, BackingFormat: format, Size: size}).Create(overlayOf(m)); err != nil {
		return err
	}
	claim, err := json.Marshal(m.Claim)
	if err != nil {
		return err
	}
	// An OEM string of SMBIOS type 11, as systemd takes credentials (systemd.system-credentials(7)); no final newline.
	return os.WriteFile(smbiosOf(m), append([]byte("io.systemd.credential:"+identity.Credential+"="), claim...), 0o600)
}

// tapFD is the number under which the machine's tap is handed over: the first of ExtraFiles.
const tapFD = 3

// Start implements Driver. The tap belongs to the file that is handed over: it goes away with the process.
func (Qemu) Start(ctx context.Context, m Machine, record func(process.ID) error) error {
	return startQemu(ctx, m, record)
}

// startQemu starts a machine, with more words on its command line.
func startQemu(ctx context.Context, m Machine, record func(process.ID) error, more ...string) error {
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	if err := group.make(); err != nil {
		return err
	}
	accel, err := accelerator(ctx, m)
	if err != nil {
		return err
	}
	tap, err := m.Network.Tap(portOf(m))
	if err != nil {
		return err
	}
	defer tap.Close()
	log, err := m.openConsole()
	if err != nil {
		return err
	}
	defer log.Close()
	argv := append(qemuCommand(m, accel), more...)
	return process.StartGated(argv, process.Options{Log: log, Extra: []*os.File{tap}}, func(id process.ID) error {
		return errors.Join(group.add(id.PID), record(id))
	})
}

// qemuCommand is a machine without anything that a server does not need.
func qemuCommand(m Machine, accel string) []string {
	memory, cpus := m.sizes()
	return []string{
		qemu.Program, "-name", "guest=" + m.Name + ",process=goldsmith-" + m.Unit, "-no-user-config", "-nodefaults",
		"-machine", "q35,accel=" + accel, "-cpu", "max", "-smp", strconv.Itoa(cpus), "-m", strconv.Itoa(memory), "-uuid", m.UUID,
		"-display", "none", "-rtc", "base=utc", "-sandbox", "on",
		"-blockdev", blockdev(m), "-device", "virtio-blk-pci,drive=" + diskNode,
		"-netdev", fmt.Sprintf("tap,id=net,fd=%d", tapFD), "-device", "virtio-net-pci,netdev=net,mac=" + m.MAC,
		"-device", "virtio-rng-pci", "-device", "vmgenid,guid=auto",
		"-smbios", "type=1,serial=" + m.Unit, "-smbios", "type=11,path=" + qemu.Comma(smbiosOf(m)),
		"-device", "virtio-serial-pci", "-chardev", "file,id=reports,append=on,path=" + qemu.Comma(portLogOf(m)),
		"-device", "virtserialport,chardev=reports,name=" + filepath.Base(identity.ReportPort),
		"-chardev", "file,id=serial,append=on,path=" + qemu.Comma(m.Console()), "-serial", "chardev:serial",
		"-chardev", "socket,id=qmp,server=on,wait=off,path=" + qemu.Comma(qmpOf(m)), "-mon", "chardev=qmp,mode=control",
	}
}

// sizes returns the memory (MiB) and the number of CPUs of a virtual machine.
func (m Machine) sizes() (memory, cpus int) {
	return cmp.Or(m.Memory, defaultMemory), cmp.Or(m.CPUs, defaultCPUs)
}

// diskNode is what the disk is called in talks with the monitor.
const diskNode = "disk"

// blockdev describes the disk in JSON, where a path may hold anything.
func blockdev(m Machine) string {
	b, _ := json.Marshal(map[string]any{ // strings only: cannot fail
		"driver": "qcow2", "node-name": diskNode, "discard": "unmap",
		"file": map[string]any{"driver": "file", "filename": overlayOf(m), "discard": "unmap"},
	})
	return string(b)
}

// Stop implements Driver: the power button, and after patience the plug.
func (d Qemu) Stop(ctx context.Context, m Machine, patience time.Duration) error {
	if !m.runs() {
		return nil
	}
	if err := qemu.Tell(ctx, qmpOf(m), "system_powerdown"); err == nil && m.Process.Gone(ctx, patience) {
		return nil
	}
	return m.Process.Kill(ctx)
}

// Remove implements Driver.
func (Qemu) Remove(ctx context.Context, m Machine) error {
	if err := m.Process.Kill(ctx); err != nil {
		return err
	}
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	if err := group.kill(ctx); err != nil {
		return err
	}
	return errors.Join(group.remove(), m.Network.Unplug(portOf(m)))
}

// Alive implements Driver.
func (Qemu) Alive(_ context.Context, m Machine) (bool, error) { return m.runs(), nil }

// Fetch implements Driver.
func (Qemu) Fetch(context.Context, Machine) error { return nil }

// Report implements Driver.
func (Qemu) Report(m Machine) (report.Report, error) { return spoken(m) }

// ReadFile implements Driver. The disk of a running machine belongs to the machine.
func (Qemu) ReadFile(m Machine, path string) ([]byte, error) {
	return nil, fmt.Errorf("cannot read %s of %s: %w", path, m.Name, errors.ErrUnsupported)
}

// Command implements Driver.
func (Qemu) Command(_ context.Context, m Machine, _ ...string) (*exec.Cmd, error) {
	return nil, report.Faultf(report.Usage, "cannot run a command in %s: a virtual machine has no way in but the network", m.Name)
}

// accelerator chooses between KVM and TCG, once for the machines of a fleet.
func accelerator(ctx context.Context, m Machine) (string, error) {
	return qemu.Accelerator(ctx, filepath.Join(filepath.Dir(m.Dir), "accelerator"), qemu.KernelIn(m.Image.Root))
}
