package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/process"
	"goldsmith/fleet/vlan"
)

// Nspawn runs a clone as a systemd machine without virtualization: systemd as PID 1 on an overlay of the golden tree, in
// a network namespace of its own. Nothing of it is mounted or named on the host: the overlay lives in the machine's mount
// namespace and the network namespace has no name, so both go away with the last process.
type Nspawn struct{}

// Name implements Driver.
func (Nspawn) Name() string { return "nspawn" }

// Capabilities implements Driver.
func (Nspawn) Capabilities() Capabilities {
	return Capabilities{Files: true, Exec: true, Namespace: true, Channels: []string{ByFile}, Snapshots: DiskSnapshots}
}

// The folders of a machine.
func upper(m Machine) string     { return filepath.Join(m.Dir, "upper") }
func work(m Machine) string      { return filepath.Join(m.Dir, "work") }
func rootDir(m Machine) string   { return filepath.Join(m.Dir, "root") }
func claimOf(m Machine) string   { return filepath.Join(m.Dir, "claim.json") }
func portOf(m Machine) string    { return m.Unit + "v" }
func overlaySpecial(c rune) bool { return strings.ContainsRune(`,:\`, c) }

// Check implements Driver.
func (Nspawn) Check(_ context.Context, m Machine) error {
	errs := []error{needRoot("run systemd machines")}
	for tool, pkg := range map[string]string{"systemd-nspawn": "systemd-container", "unshare": "util-linux", "nsenter": "util-linux"} {
		errs = append(errs, needTool(tool, pkg))
	}
	if m.Image.Root == "" {
		errs = append(errs, report.Faultf(report.Usage, "cannot run %s with nspawn: the image has no root tree", m.Image.Name).
			WithHint("goldsmith clone %s --driver qemu", m.Image.Name))
	} else if _, err := os.Stat(filepath.Join(m.Image.Root, "usr/lib/systemd/systemd")); err != nil {
		errs = append(errs, report.Faultf(report.Usage, "cannot run %s with nspawn: no systemd in it: %w", m.Image.Name, err))
	}
	for _, path := range []string{m.Image.Root, m.Dir} {
		if strings.ContainsFunc(path, overlaySpecial) {
			errs = append(errs, report.Faultf(report.Usage, `cannot make an overlay of %q: "," ":" and "\" have a meaning there`, path))
		}
	}
	if m.Memory != 0 || m.CPUs != 0 {
		errs = append(errs, report.Faultf(report.Usage, "cannot set memory or CPUs: nspawn machines share the host's").
			WithHint("--driver qemu"))
	}
	return errors.Join(errs...)
}

// Create implements Driver.
func (Nspawn) Create(_ context.Context, m Machine) error {
	for _, dir := range []string{upper(m), work(m), rootDir(m)} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if m.Off {
		if err := switchOff(upper(m)); err != nil {
			return err
		}
	}
	claim, err := json.Marshal(m.Claim)
	if err != nil {
		return err
	}
	return os.WriteFile(claimOf(m), claim, 0o600)
}

// switchOff leaves the file for which firstboot's units are not started. The folders become one with those of the tree.
func switchOff(upper string) error {
	dir := filepath.Join(upper, "etc/goldsmith")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "disabled"), nil, 0o644)
}

// netFD is the number under which the machine's network namespace is handed over: the first of ExtraFiles.
const netFD = 3

// shim mounts the overlay and runs the machine, again after every reboot: systemd-nspawn leaves with 133 then. The
// overlay is volatile where the kernel can (5.10): what a clone syncs is not worth waiting for the disk, and the last
// process to leave would wait until everything on that disk is written.
const shim = `o="lowerdir=$1,upperdir=$2,workdir=$3"
mount -t overlay overlay -o "$o,volatile" "$4" 2>/dev/null || mount -t overlay overlay -o "$o" "$4" || exit
shift 4
while "$@"; [ $? = 133 ]; do :; done`

// Start implements Driver.
func (Nspawn) Start(_ context.Context, m Machine, record func(process.ID) error) error {
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	if err := group.make(); err != nil {
		return err
	}
	ns, err := vlan.NewNamespace()
	if err != nil {
		return err
	}
	net := os.NewFile(uintptr(ns), "network namespace")
	defer net.Close()
	if err := m.Network.Plug(portOf(m), m.MAC, int(ns)); err != nil {
		return err
	}
	log, err := m.openConsole()
	if err != nil {
		return err
	}
	defer log.Close()
	argv := append([]string{"sh", "-c", shim, "goldsmith-" + m.Unit, m.Image.Root, upper(m), work(m), rootDir(m)}, nspawnCommand(m)...)
	opt := process.Options{Log: log, Extra: []*os.File{net}, Env: nspawnEnv(), MountNS: true}
	return process.StartGated(argv, opt, func(id process.ID) error {
		return errors.Join(group.add(id.PID), record(id))
	})
}

// nspawnEnv are settings that systemd-nspawn takes from nowhere else (systemd, docs/ENVIRONMENT.md). The lock is on the
// folder below the overlay and would stay behind after SIGKILL; each machine has a folder of its own anyway. A cloud
// sets net.* sysctls, which nspawn write-protects in a network namespace that it did not make.
func nspawnEnv() []string {
	return []string{"SYSTEMD_NSPAWN_LOCK=0", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network"}
}

// nspawnCommand needs no systemd on the host: the machine is not registered and stays in the cgroup it is started in.
func nspawnCommand(m Machine) []string {
	argv := []string{
		"systemd-nspawn", "--quiet", "--directory=" + rootDir(m), "--register=no", "--keep-unit", "--machine=" + m.Unit,
		"--hostname=" + m.Name, "--network-namespace-path=/proc/self/fd/" + strconv.Itoa(netFD),
		"--capability=CAP_NET_ADMIN", "--console=read-only", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--load-credential=" + identity.Credential + ":" + claimOf(m),
	}
	if suppressesSync() {
		argv = append(argv, "--suppress-sync=yes")
	}
	for _, dev := range []string{"/dev/net/tun"} { // Open vSwitch's userspace datapath and nested machines want it
		if _, err := os.Stat(dev); err == nil {
			argv = append(argv, "--bind="+dev)
		}
	}
	return append(argv, "--boot")
}

// suppressesSync says whether this systemd-nspawn can turn a machine's sync() into nothing (v250). sync() waits for every
// file system of the host: one that hangs, be it a dead NFS or FUSE server, would keep all clones from booting.
func suppressesSync() bool {
	help, err := exec.Command("systemd-nspawn", "--help").Output()
	return err == nil && bytes.Contains(help, []byte("--suppress-sync"))
}

// Stop implements Driver. SIGRTMIN+4 to PID 1 means power off (systemd(1)).
func (d Nspawn) Stop(ctx context.Context, m Machine, patience time.Duration) error {
	if !m.runs() {
		return nil
	}
	if init, err := guestInit(m); err == nil {
		const sigRTMin = 34 // as glibc counts
		if err := init.Signal(syscall.Signal(sigRTMin + 4)); err != nil {
			return err
		}
		if m.Process.Gone(ctx, patience) {
			return nil
		}
	}
	return d.kill(ctx, m)
}

func (Nspawn) kill(ctx context.Context, m Machine) error {
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	if err := group.thaw(); err != nil {
		return err
	}
	if err := m.Process.Kill(ctx); err != nil { // first, or it would start the machine again
		return err
	}
	return group.kill(ctx)
}

// Remove implements Driver.
func (d Nspawn) Remove(ctx context.Context, m Machine) error {
	if err := d.kill(ctx, m); err != nil {
		return err
	}
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return err
	}
	return errors.Join(group.remove(), m.Network.Unplug(portOf(m)), removeRuntime(m.Unit))
}

// removeRuntime removes what systemd-nspawn leaves in /run when it is killed.
func removeRuntime(unit string) error {
	var errs []error
	for _, kind := range []string{"propagate", "unix-export"} {
		dir := filepath.Join("/run/systemd/nspawn", kind, unit)
		_ = unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) // newer versions keep a tmpfs here
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("cannot remove %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// Alive implements Driver.
func (Nspawn) Alive(_ context.Context, m Machine) (bool, error) { return m.runs(), nil }

// Fetch implements Driver.
func (Nspawn) Fetch(context.Context, Machine) error { return nil }

// Report implements Driver. It looks at the upper layer only: a report in the golden tree is somebody else's.
func (Nspawn) Report(m Machine) (report.Report, error) {
	var r report.Report
	b, err := ReadInside(upper(m), identity.ReportFile)
	if err != nil {
		return r, err
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&r); err != nil {
		return r, fmt.Errorf("cannot read the report of %s: %w", m.Name, err)
	}
	return r, nil
}

// ReadFile implements Driver.
func (Nspawn) ReadFile(m Machine, path string) ([]byte, error) {
	init, err := guestInit(m)
	if err != nil {
		return nil, err
	}
	return ReadInside(fmt.Sprintf("/proc/%d/root", init.PID), path)
}

// Command implements Driver.
func (Nspawn) Command(ctx context.Context, m Machine, argv ...string) (*exec.Cmd, error) {
	init, err := guestInit(m)
	if err != nil {
		return nil, err
	}
	args := []string{
		"--target", strconv.Itoa(init.PID), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd", "--",
		"/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root",
		"TERM=" + os.Getenv("TERM"), "LANG=C.UTF-8",
	}
	return exec.CommandContext(ctx, "nsenter", append(args, argv...)...), nil
}

// guestInit finds PID 1 of the machine among the descendants of its process.
func guestInit(m Machine) (process.ID, error) {
	if m.runs() {
		if pid := findInit(m.Process.PID, 4); pid != 0 {
			return process.Of(pid)
		}
		return process.ID{}, fmt.Errorf("cannot reach %s: it has not started yet", m.Name)
	}
	return process.ID{}, report.Faultf(report.Usage, "cannot reach %s: it is not running", m.Name).
		WithHint("goldsmith logs %s", m.Name)
}

// findInit looks for a process that is number 1 in a pid namespace of its own, depth generations down.
func findInit(pid, depth int) int {
	if isInit(pid) {
		return pid
	}
	if depth == 0 {
		return 0
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for f := range strings.FieldsSeq(string(b)) {
		child, _ := strconv.Atoi(f)
		if found := findInit(child, depth-1); found != 0 {
			return found
		}
	}
	return 0
}

// isInit reads the NSpid line of proc(5) status: the pid in every namespace, the innermost last.
func isInit(pid int) bool {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(rest)
			return len(f) > 1 && f[len(f)-1] == "1"
		}
	}
	return false
}
