package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/builder/vm/qemu"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// Libvirt runs a clone as a transient domain of a libvirtd, of this host or, by a URI like qemu+ssh://root@host/system,
// of another one: such a domain is forgotten when it ends, so nothing can start it again and nothing has to be undefined.
type Libvirt struct{}

// Name implements Driver.
func (Libvirt) Name() string { return "libvirt" }

// Capabilities implements Driver. libvirtd looks for bridges where it runs itself.
func (Libvirt) Capabilities() Capabilities {
	return Capabilities{Sizes: true, Hosts: true, Channels: []string{ByPort, BySerial}, Snapshots: MemorySnapshots}
}

// Check implements Driver.
func (Libvirt) Check(ctx context.Context, m Machine) error {
	l := m.libvirt()
	errs := []error{needTool("virsh", "libvirt-clients")}
	if !l.remote() {
		errs = append(errs, needRoot("use libvirt's system connection"))
	}
	if m.Image.Disk == "" {
		errs = append(errs, report.Faultf(report.Usage, "cannot run %s with libvirt: the image has no disk", m.Image.Name))
	} else if _, _, err := backing(m.Image.Disk); err != nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot run %s with libvirt: %w", m.Image.Name, err))
	}
	if m.Off {
		errs = append(errs, report.Faultf(report.Usage, "cannot switch firstboot off: nothing is written into a virtual machine's disk").
			WithHint("--driver nspawn"))
	}
	if errors.Join(errs...) == nil {
		errs = append(errs, l.check(ctx, m))
	}
	return errors.Join(errs...)
}

// check asks the libvirtd: does it answer, and has it what the machine needs.
func (l libvirtd) check(ctx context.Context, m Machine) error {
	if _, err := l.virsh(ctx, "", "domcapabilities", "--virttype", "qemu"); err != nil {
		f := report.Faultf(report.Usage, "cannot use libvirt at %s: %w", l, err)
		if l.remote() {
			return f.WithHint("virsh --connect %s version", l)
		}
		return f.WithHint("systemctl start libvirtd")
	}
	if !l.remote() {
		return nil
	}
	return errors.Join(l.checkPool(ctx, m), l.checkBridge(ctx, m.Network.Bridge))
}

// Create implements Driver.
func (Libvirt) Create(ctx context.Context, m Machine) error {
	if l := m.libvirt(); l.remote() {
		return l.createVolumes(ctx, m)
	}
	format, size, err := backing(m.Image.Disk)
	if err != nil {
		return err
	}
	return qcow2.Overlay{Backing: m.Image.Disk, BackingFormat: format, Size: size}.Create(overlayOf(m))
}

// Start implements Driver. The domain is made without letting it run, so that it can be written down first.
func (Libvirt) Start(ctx context.Context, m Machine, record func(process.ID) error) error {
	l := m.libvirt()
	err := l.define(ctx, m)
	if err == nil {
		err = l.record(m, record)
	}
	if err == nil {
		_, err = l.virsh(ctx, "", "resume", m.Unit)
	}
	if err != nil {
		_, again := l.virsh(context.WithoutCancel(ctx), "", "destroy", m.Unit)
		if noDomain(again) {
			again = nil
		}
		return errors.Join(err, again)
	}
	return nil
}

// define makes the domain, paused.
func (l libvirtd) define(ctx context.Context, m Machine) error {
	accel, err := l.accelerator(ctx, m)
	if err != nil {
		return err
	}
	f, err := l.files(ctx, m)
	if err != nil {
		return err
	}
	text, err := domainXML(m, accel, f)
	if err != nil {
		return err
	}
	if _, err := l.virsh(ctx, string(text), "create", "--paused", "/dev/stdin"); err != nil {
		return fmt.Errorf("cannot make the domain: %w", err)
	}
	return nil
}

// record writes the machine's process down. On another host there is none of ours: the domain's name, which was written
// down long before, is enough to find it.
func (l libvirtd) record(m Machine, record func(process.ID) error) error {
	if l.remote() {
		return record(process.ID{})
	}
	b, err := os.ReadFile(filepath.Join("/run/libvirt/qemu", m.Unit+".pid"))
	if err != nil {
		return fmt.Errorf("cannot find the process of the domain: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return fmt.Errorf("cannot find the process of the domain: %w", err)
	}
	id, err := process.Of(pid)
	if err != nil {
		return fmt.Errorf("cannot find the process of the domain: %w", err)
	}
	return record(id)
}

// accelerator chooses between KVM and TCG. What another host's libvirtd offers is believed: no kernel can be tried there.
func (l libvirtd) accelerator(ctx context.Context, m Machine) (string, error) {
	if !l.remote() {
		return accelerator(ctx, m)
	}
	if _, err := l.virsh(ctx, "", "domcapabilities", "--virttype", "kvm"); err != nil {
		return qemu.TCG, ctx.Err()
	}
	return qemu.KVM, nil
}

// Stop implements Driver.
func (d Libvirt) Stop(ctx context.Context, m Machine, patience time.Duration) error {
	alive, err := d.Alive(ctx, m)
	if err != nil || !alive {
		return err
	}
	l := m.libvirt()
	if _, err := l.virsh(ctx, "", "shutdown", m.Unit); err == nil && d.gone(ctx, m, patience) {
		return nil
	}
	return l.destroy(ctx, m)
}

// gone waits until the machine has ended, and says whether it has.
func (d Libvirt) gone(ctx context.Context, m Machine, patience time.Duration) bool {
	if !m.libvirt().remote() {
		return m.Process.Gone(ctx, patience)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(500 * time.Millisecond) {
		if alive, err := d.Alive(ctx, m); err == nil && !alive {
			return true
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return false
		}
	}
}

// Remove implements Driver. A domain that is not there is what is wanted; a libvirtd of this host need not even run then.
func (Libvirt) Remove(ctx context.Context, m Machine) error {
	l := m.libvirt()
	if err := l.destroy(ctx, m); err != nil {
		return err
	}
	if l.remote() {
		return l.deleteVolumes(ctx, m)
	}
	return m.Network.Unplug(portOf(m))
}

// destroy ends the domain.
func (l libvirtd) destroy(ctx context.Context, m Machine) error {
	_, err := l.virsh(ctx, "", "destroy", m.Unit)
	if err != nil && !noDomain(err) && (l.remote() || m.runs()) {
		return fmt.Errorf("cannot end the domain of %s: %w", m.Name, err)
	}
	return m.Process.Kill(ctx)
}

// Alive implements Driver.
func (Libvirt) Alive(ctx context.Context, m Machine) (bool, error) {
	l := m.libvirt()
	if !l.remote() {
		return m.runs(), nil
	}
	state, err := l.virsh(ctx, "", "domstate", m.Unit)
	if noDomain(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot look at %s: %w", m.Name, err)
	}
	return strings.TrimSpace(state) != "shut off", nil
}

// Fetch implements Driver.
func (Libvirt) Fetch(ctx context.Context, m Machine) error {
	if l := m.libvirt(); l.remote() {
		return l.fetch(ctx, m)
	}
	return nil
}

// Report implements Driver.
func (Libvirt) Report(m Machine) (report.Report, error) { return spoken(m) }

// ReadFile implements Driver.
func (Libvirt) ReadFile(m Machine, path string) ([]byte, error) { return Qemu{}.ReadFile(m, path) }

// Command implements Driver.
func (Libvirt) Command(ctx context.Context, m Machine, argv ...string) (*exec.Cmd, error) {
	return Qemu{}.Command(ctx, m, argv...)
}
