// Package templates holds the files that the two trades write whole, and says where they go.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

//go:embed units
var units embed.FS

// FS has what recipes name as templates: scripts of steps, and files.
//
//go:embed packstack cluster ovirt opennebula
var FS embed.FS

// A File is one file that a golden image gets.
type File struct {
	Path string // absolute
	Data []byte
	Mode fs.FileMode
	Link string // target of a symbolic link, instead of Data
}

// unitDir is where our own units go: they belong to the image, not to its administrator.
const unitDir = "/usr/lib/systemd/system"

// managers bring up networks. They require the local phase: with the golden MAC or client id still in place, a clone must
// not say a word on the VLAN. What waits for NICs by their configured names is one of them: ifupdown-wait-online reads them
// once, when it starts, and waits five minutes for a NIC that has another name on the clone (measured).
var managers = []string{"NetworkManager.service", "networking.service", "ifup@.service", "ifupdown-wait-online.service", "network.service",
	"systemd-networkd.service", "openvswitch-switch.service", "ovsdb-server.service", "openvswitch.service"}

// Units returns the units, their enablement, and the drop-ins that hold network managers behind the local phase and the
// given stack units behind the stack phase, so that each starts once, with the right configuration.
func Units(stack []string) ([]File, error) {
	var out []File
	names, err := fs.ReadDir(units, "units")
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		data, err := units.ReadFile("units/" + n.Name())
		if err != nil {
			return nil, err
		}
		out = append(out, File{Path: path.Join(unitDir, n.Name()), Data: data, Mode: 0o644})
	}
	out = append(out, enable("sysinit.target", "goldsmith-local.service"), enable("multi-user.target", "goldsmith-stack.service"),
		enable("multi-user.target", "goldsmith-watch.socket"))
	for _, m := range managers {
		out = append(out, hold(m, "goldsmith-local.service"))
	}
	for _, u := range stack {
		out = append(out, hold(u, "goldsmith-stack.target"))
	}
	if slices.Contains(stack, engineUnit) {
		engine, err := engineUnits()
		return append(out, engine...), err
	}
	return out, nil
}

// engineUnit tells that an image has an oVirt engine in it.
const engineUnit = "ovirt-engine.service"

// engineUnits are what firstboot leaves to the engine's own tools: engine-setup on a clone of an image that holds the packages,
// and certificates on a clone of an engine that was set up before. Each does nothing unless firstboot asks for it.
func engineUnits() ([]File, error) {
	var out []File
	for _, name := range []string{"engine-setup", "engine-renew"} {
		unit := "goldsmith-" + name + ".service"
		text, err1 := FS.ReadFile("ovirt/" + unit)
		script, err2 := FS.ReadFile("ovirt/" + name)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		out = append(out, File{Path: path.Join(unitDir, unit), Data: text, Mode: 0o644},
			File{Path: path.Join("/usr/lib/goldsmith", name), Data: script, Mode: 0o755}, enable("multi-user.target", unit))
	}
	return out, nil
}

func enable(target, unit string) File {
	return File{Path: path.Join("/etc/systemd/system", target+".wants", unit), Link: path.Join(unitDir, unit)}
}

// hold makes unit wait for gate, and not start at all where the gate failed.
func hold(unit, gate string) File {
	text := fmt.Sprintf("# goldsmith: this unit starts when the clone is itself\n[Unit]\nRequires=%s\nAfter=%s\n", gate, gate)
	return File{Path: path.Join("/etc/systemd/system", unit+".d", "10-goldsmith.conf"), Data: []byte(text), Mode: 0o644}
}
