//go:build clones

package fleet_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
	"goldsmith/fleet/process"
	"goldsmith/fleet/vlan"
	"goldsmith/templates"
)

// A golden machine is a tree that lived once, by itself: with a machine id, leases and databases of its own. Nobody has
// sealed it.
type golden struct {
	t    *testing.T
	root string
	lab  *vlan.Lab
	self identity.Identity
}

const (
	goldenMAC = "52:54:00:00:00:01"
	goldenID  = "601d601d601d601d601d601d601d601d"
)

// newGolden copies the tree, adds the given files ("" removes one, a leading ">" makes a symbolic link), and lets it live.
func newGolden(t *testing.T, lab *vlan.Lab, files map[string]string, life func(g *golden, m driver.Machine)) *golden {
	t.Helper()
	tree := drivertest.NetTree(t)
	dir, err := os.MkdirTemp(filepath.Dir(tree), "clones-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing was ever mounted below
		if out, err := exec.Command("rm", "-rf", "--one-file-system", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	g := &golden{t: t, root: filepath.Join(dir, "root"), lab: lab}
	g.run("cp", "-al", tree, g.root)
	g.put("/etc/hostname", "gold\n")
	g.put("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 gold\n")
	g.put("/etc/machine-id", goldenID+"\n")
	for name, data := range files {
		g.put(name, data)
	}
	m := g.start("golden", goldenMAC)
	life(g, m)
	g.self = identity.Identity{Hostname: "gold", Interface: g.inside(m, "sh", "-c", "ip -o route show default | sed 's/.*dev \\([^ ]*\\).*/\\1/'"),
		Address: g.address(m), PrefixLen: 24, NICs: []identity.NIC{{Name: "host0", MAC: goldenMAC}},
		MachineID: goldenID}
	if err := (driver.Nspawn{}).Stop(t.Context(), m, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	g.keep(filepath.Join(m.Dir, "upper"))
	return g
}

func (g *golden) run(argv ...string) {
	g.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		g.t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

// put writes a file of the tree. The old one is shared with other trees and must not be written into.
func (g *golden) put(name, data string) {
	g.t.Helper()
	p := filepath.Join(g.root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		g.t.Fatal(err)
	}
	err := os.Remove(p)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if target, ok := strings.CutPrefix(data, ">"); ok && err == nil {
		err = os.Symlink(target, p)
	} else if data != "" && err == nil {
		err = os.WriteFile(p, []byte(data), 0o644)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// keep makes what a machine wrote part of the tree: an overlay's upper layer, where a device 0:0 stands for a removed file.
func (g *golden) keep(upper string) {
	g.t.Helper()
	err := filepath.WalkDir(upper, func(p string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || d.Type()&fs.ModeCharDevice == 0 {
			return err
		}
		if err := unix.Lstat(p, &st); err != nil || st.Rdev != 0 {
			return err
		}
		rel, _ := filepath.Rel(upper, p)
		return errors.Join(os.Remove(p), os.RemoveAll(filepath.Join(g.root, rel)))
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.run("cp", "-a", "--remove-destination", upper+"/.", g.root)
}

// adopt puts firstboot into the tree, and an imprint of what the machine was.
func (g *golden) adopt(pol identity.Policy, stacks ...string) {
	g.t.Helper()
	binary := filepath.Join(g.root, identity.Binary)
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		g.t.Fatal(err)
	}
	build := exec.Command("go", "build", "-tags", "urfave_cli_no_docs", "-trimpath", "-ldflags", "-s -w", "-o", binary, "goldsmith/cmd/firstboot")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		g.t.Fatalf("%v\n%s", err, out)
	}
	files, err := templates.Units(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, f := range files {
		data := string(f.Data)
		if f.Link != "" {
			data = ">" + f.Link
		}
		g.put(f.Path, data)
	}
	imprint, err := json.Marshal(identity.Imprint{Format: identity.ImprintFormat, Image: "golden", Baked: g.self, Stacks: append([]string{}, stacks...), Policy: pol})
	if err != nil {
		g.t.Fatal(err)
	}
	g.put(identity.ImprintFile, string(imprint))
}

// start boots one clone, under a name that no other run of the tests has. It is removed when the test ends.
func (g *golden) start(name, mac string) driver.Machine {
	g.t.Helper()
	d := driver.Nspawn{}
	m := driver.Machine{Name: name, Unit: fmt.Sprintf("g%05x%s", os.Getpid()&0xfffff, name), Dir: filepath.Join(filepath.Dir(g.root), name), MAC: mac,
		Network: g.lab.Network, Image: driver.Image{Name: "golden", Root: g.root}}
	g.t.Cleanup(func() { g.remove(m) })
	if err := d.Check(g.t.Context(), m); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Mkdir(m.Dir, 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := d.Create(g.t.Context(), m); err != nil {
		g.t.Fatal(err)
	}
	if err := d.Start(g.t.Context(), m, func(id process.ID) error { m.Process = id; return nil }); err != nil {
		g.t.Fatal(err)
	}
	return m
}

func (g *golden) remove(m driver.Machine) {
	if err := (driver.Nspawn{}).Remove(context.WithoutCancel(g.t.Context()), m); err != nil {
		g.t.Error(err)
	}
}

// inside runs a command in a clone and returns what it says.
func (g *golden) inside(m driver.Machine, argv ...string) string {
	g.t.Helper()
	out, err := g.try(m, argv...)
	if err != nil {
		g.t.Fatalf("%s in %s: %v", strings.Join(argv, " "), m.Name, err)
	}
	return out
}

func (g *golden) try(m driver.Machine, argv ...string) (string, error) {
	cmd, err := (driver.Nspawn{}).Command(g.t.Context(), m, argv...)
	if err != nil {
		return "", err
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err = cmd.Run()
	if err != nil {
		err = errors.Join(err, errors.New(strings.TrimSpace(stderr.String())))
	}
	return strings.TrimSpace(out.String()), err
}

// eventually repeats f until it says yes, and shows the console otherwise.
func (g *golden) eventually(m driver.Machine, what string, limit time.Duration, f func() bool) {
	g.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if f() {
			return
		}
	}
	console, _ := os.ReadFile(m.Console())
	state, _ := g.try(m, "sh", "-c", "ip -br address; systemctl --failed --no-legend; cat /var/lib/goldsmith/report.txt; journalctl -b --no-pager -n 60")
	g.t.Fatalf("%s: no %s within %s\n%s\n%s", m.Name, what, limit, console, state)
}

// address waits for the clone's leased address.
func (g *golden) address(m driver.Machine) netip.Addr {
	g.t.Helper()
	var addr netip.Addr
	g.eventually(m, "address", time.Minute, func() bool {
		out, _ := g.try(m, "ip", "-o", "-4", "address", "show", "scope", "global")
		f := strings.Fields(out)
		if len(f) < 4 || f[1] != "host0" && f[1] != "br-ex" { // too early, we would look at the bench's own links
			return false
		}
		p, err := netip.ParsePrefix(f[3])
		addr = p.Addr()
		return err == nil
	})
	return addr
}

// ready waits until firstboot reports that the clone is itself.
func (g *golden) ready(m driver.Machine) report.Report {
	g.t.Helper()
	var r report.Report
	g.eventually(m, "report", 2*time.Minute, func() bool {
		var err error
		r, err = driver.Nspawn{}.Report(m)
		return err == nil && (r.State == report.Ready || r.State == report.Failed)
	})
	if r.State != report.Ready {
		console, _ := os.ReadFile(m.Console())
		g.t.Fatalf("%s: %s: %s\n%s", m.Name, r.State, r.Error, console)
	}
	return r
}
