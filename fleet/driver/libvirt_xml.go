package driver

import (
	"encoding/json"
	"encoding/xml"
	"path/filepath"
	"strconv"

	"goldsmith/firstboot/identity"
)

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
func domainXML(m Machine, accel string, f machineFiles) ([]byte, error) {
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
		el("devices", nil, devices(m, f)...),
		el("seclabel", attrs{"type", "static", "model", "dac", "relabel", "no"}, text("label", "+0:+0")),
	), "", "  ")
}

func devices(m Machine, f machineFiles) []element {
	return []element{
		el("disk", attrs{"type", "file", "device", "disk"}, el("driver", attrs{"name", "qemu", "type", "qcow2", "discard", "unmap"}),
			el("source", attrs{"file", f.disk}), el("target", attrs{"dev", "vda", "bus", "virtio"})),
		el("interface", attrs{"type", "bridge"}, el("source", attrs{"bridge", m.Network.Bridge}), el("mac", attrs{"address", m.MAC}),
			el("target", attrs{"dev", portOf(m)}), el("model", attrs{"type", "virtio"})),
		el("serial", attrs{"type", "file"}, el("source", attrs{"path", f.console, "append", "on"}), el("target", attrs{"port", "0"})),
		el("channel", attrs{"type", "file"}, el("source", attrs{"path", f.reports, "append", "on"}),
			el("target", attrs{"type", "virtio", "name", filepath.Base(identity.ReportPort)})),
		el("rng", attrs{"model", "virtio"}, text("backend", "/dev/urandom", "model", "random")),
	}
}
