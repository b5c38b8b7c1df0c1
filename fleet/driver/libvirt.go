package driver

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
)

// Libvirt runs a clone as a transient domain of the libvirtd of this host: such a domain is forgotten when it ends, so
// nothing can start it again and nothing has to be undefined. Which libvirtd, LIBVIRT_DEFAULT_URI says, as for virsh.
type Libvirt struct{}

// Name implements Driver.
func (Libvirt) Name() string { return "libvirt" }

// Capabilities implements Driver. libvirtd looks for bridges where it runs itself.
func (Libvirt) Capabilities() Capabilities { return Capabilities{Sizes: true, Channel: "serial"} }

// Check implements Driver.
func (Libvirt) Check(ctx context.Context, m Machine) error {
	errs := []error{needRoot("use libvirt's system connection"), needTool("virsh", "libvirt-clients")}
	if _, err := virsh(ctx, "", "domcapabilities", "--virttype", "qemu"); err != nil && errors.Join(errs...) == nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot use libvirt: %w", err).WithHint("systemctl start libvirtd"))
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
	return errors.Join(errs...)
}

// Create implements Driver.
func (Libvirt) Create(_ context.Context, m Machine) error {
	format, size, err := backing(m.Image.Disk)
	if err != nil {
		return err
	}
	return qcow2.Overlay{Backing: m.Image.Disk, BackingFormat: format, Size: size}.Create(overlayOf(m))
}

// Start implements Driver. The domain is made without letting it run, so that it can be written down first.
func (Libvirt) Start(ctx context.Context, m Machine, record func(process.ID) error) error {
	accel, err := accelerator(ctx, m)
	if err != nil {
		return err
	}
	text, err := domainXML(m, accel)
	if err != nil {
		return err
	}
	if _, err := virsh(ctx, string(text), "create", "--paused", "/dev/stdin"); err != nil {
		return fmt.Errorf("cannot make the domain: %w", err)
	}
	id, err := domainProcess(m)
	if err == nil {
		err = record(id)
	}
	if err == nil {
		_, err = virsh(ctx, "", "resume", m.Unit)
	}
	if err != nil {
		_, again := virsh(context.WithoutCancel(ctx), "", "destroy", m.Unit)
		return errors.Join(err, again)
	}
	return nil
}

// domainProcess finds the qemu behind a domain by the pid file that libvirtd keeps.
func domainProcess(m Machine) (process.ID, error) {
	b, err := os.ReadFile(filepath.Join("/run/libvirt/qemu", m.Unit+".pid"))
	if err != nil {
		return process.ID{}, fmt.Errorf("cannot find the process of the domain: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return process.ID{}, fmt.Errorf("cannot find the process of the domain: %w", err)
	}
	return process.Of(pid)
}

// Stop implements Driver.
func (d Libvirt) Stop(ctx context.Context, m Machine, patience time.Duration) error {
	if !m.Alive() {
		return nil
	}
	if _, err := virsh(ctx, "", "shutdown", m.Unit); err == nil && m.Process.Gone(ctx, patience) {
		return nil
	}
	return d.Remove(ctx, m)
}

// Remove implements Driver. A domain that is not there is what is wanted; libvirtd need not even run then.
func (Libvirt) Remove(ctx context.Context, m Machine) error {
	if _, err := virsh(ctx, "", "destroy", m.Unit); err != nil && m.Alive() {
		return fmt.Errorf("cannot end the domain of %s: %w", m.Name, err)
	}
	if err := m.Process.Kill(ctx); err != nil {
		return err
	}
	return m.Network.Unplug(portOf(m))
}

// Report implements Driver.
func (Libvirt) Report(m Machine) (report.Report, error) { return Qemu{}.Report(m) }

// ReadFile implements Driver.
func (Libvirt) ReadFile(m Machine, path string) ([]byte, error) { return Qemu{}.ReadFile(m, path) }

// Command implements Driver.
func (Libvirt) Command(ctx context.Context, m Machine, argv ...string) (*exec.Cmd, error) {
	return Qemu{}.Command(ctx, m, argv...)
}

// virsh runs one command with input, and returns what it printed.
func virsh(ctx context.Context, input string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "virsh", append([]string{"--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if os.Getenv("LIBVIRT_DEFAULT_URI") == "" {
		cmd.Env = append(cmd.Env, "LIBVIRT_DEFAULT_URI=qemu:///system")
	}
	cmd.Stdin = strings.NewReader(input)
	var out, why strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &why
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("virsh %s: %s", args[0], strings.TrimSpace(strings.ReplaceAll(why.String(), "error: ", "")))
	}
	return out.String(), nil
}

// element builds XML that has no type of its own.
type element struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Text    string     `xml:",chardata"`
	Inner   []element
}

// el makes an element; pairs are attributes, name and value in turn.
func el(name string, pairs []string, inner ...element) element {
	e := element{XMLName: xml.Name{Local: name}, Inner: inner}
	for i := 0; i+1 < len(pairs); i += 2 {
		e.Attrs = append(e.Attrs, xml.Attr{Name: xml.Name{Local: pairs[i]}, Value: pairs[i+1]})
	}
	return e
}

func text(name, value string, pairs ...string) element {
	e := el(name, pairs)
	e.Text = value
	return e
}

type attrs = []string

// domainXML describes the machine to libvirt (libvirt.org, format of domains). qemu runs as root, as the overlay is ours
// alone.
func domainXML(m Machine, accel string) ([]byte, error) {
	claim, err := json.Marshal(m.Claim)
	if err != nil {
		return nil, err
	}
	kind := map[string]string{"kvm": "kvm", "tcg": "qemu"}[accel]
	memory, cpus := m.sizes()
	return xml.MarshalIndent(el("domain", attrs{"type", kind},
		text("name", m.Unit), text("uuid", m.UUID), text("title", m.Name), el("genid", nil),
		text("memory", strconv.Itoa(memory), "unit", "MiB"), text("vcpu", strconv.Itoa(cpus)),
		el("os", nil, text("type", "hvm", "arch", "x86_64", "machine", "q35"), el("boot", attrs{"dev", "hd"}), el("smbios", attrs{"mode", "sysinfo"})),
		el("sysinfo", attrs{"type", "smbios"}, el("oemStrings", nil,
			text("entry", "io.systemd.credential:"+identity.Credential+"="+string(claim)))),
		el("features", nil, el("acpi", nil), el("apic", nil)),
		el("cpu", attrs{"mode", "maximum"}),
		text("on_poweroff", "destroy"), text("on_reboot", "restart"), text("on_crash", "destroy"),
		el("devices", nil, devices(m)...),
		el("seclabel", attrs{"type", "static", "model", "dac", "relabel", "no"}, text("label", "+0:+0")),
	), "", "  ")
}

func devices(m Machine) []element {
	return []element{
		el("disk", attrs{"type", "file", "device", "disk"}, el("driver", attrs{"name", "qemu", "type", "qcow2", "discard", "unmap"}),
			el("source", attrs{"file", overlayOf(m)}), el("target", attrs{"dev", "vda", "bus", "virtio"})),
		el("interface", attrs{"type", "bridge"}, el("source", attrs{"bridge", m.Network.Bridge}), el("mac", attrs{"address", m.MAC}),
			el("target", attrs{"dev", portOf(m)}), el("model", attrs{"type", "virtio"})),
		el("serial", attrs{"type", "file"}, el("source", attrs{"path", m.Console(), "append", "on"}), el("target", attrs{"port", "0"})),
		el("rng", attrs{"model", "virtio"}, text("backend", "/dev/urandom", "model", "random")),
	}
}
