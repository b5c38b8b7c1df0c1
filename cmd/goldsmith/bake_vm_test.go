//go:build vm

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"goldsmith/builder"
	"goldsmith/builder/archivetest"
	"goldsmith/firstboot/report"
)

// vmRecipe boots, reboots, and shows that a step finds what the steps before the reboot left.
const vmRecipe = `name: vm-test
base: {image: debian-minimal}
vm: {memory: 1G}
steps:
- name: one
  run: |
    test "$(hostname)" = goldsmith-marker
    cat /proc/sys/kernel/random/boot_id >/srv/one
  reboot: true
- name: two
  run: |
    test "$(cat /srv/one)" != "$(cat /proc/sys/kernel/random/boot_id)"
    echo here we are
    sleep "$(cat /srv/patience 2>/dev/null || echo SLEEP)"
- name: last
  run: echo WORD >/srv/last
`

// TestVMBake interrupts a bake in a virtual machine in the middle, resumes it, and bakes again with another last step. It
// begins with the bench's debian-minimal, of which it takes a copy.
func TestVMBake(t *testing.T) {
	b := newBench(t)
	began := time.Now()
	b.write("SLEEP", "600", "WORD", "first")
	b.interrupt("here we are")
	b.nothingRuns()
	interrupted := time.Since(began)

	b.write("SLEEP", "0", "WORD", "first")
	first := b.bake()
	resumed := time.Since(began) - interrupted
	want(t, first, "machine", true)
	want(t, first, "step:one", true)
	want(t, first, "step:two", false) // its sleep is part of its key; it had not ended anyway
	if first.Proof.Why != "" || !first.Proof.Passed {
		t.Errorf("proof: %+v", first.Proof)
	}

	b.write("SLEEP", "0", "WORD", "second")
	again := time.Now()
	second := b.bake()
	t.Logf("with %s: the first bake %s until it was interrupted and %s resumed, with its proof; the second, with another last step, %s",
		second.Accelerator, interrupted.Round(time.Second), resumed.Round(time.Second), time.Since(again).Round(time.Second))
	if !second.Proof.Passed {
		t.Errorf("proof: %+v", second.Proof)
	}
	want(t, second, "step:two", true)
	want(t, second, "step:last", false)
	if got, err := os.ReadFile(filepath.Join(b.home, "images", "vm-test", "root", "srv", "last")); string(got) != "second\n" {
		t.Errorf("the image says %q, %v", got, err)
	}
	b.nothingRuns()
}

// want says whether a phase came from a checkpoint.
func want(t *testing.T, m builder.Manifest, phase string, cached bool) {
	t.Helper()
	for _, p := range m.Phases {
		if p.Phase == phase {
			if p.Cached != cached {
				t.Errorf("%s: cached is %v", phase, p.Cached)
			}
			return
		}
	}
	t.Errorf("%s is not in the manifest: %+v", phase, m.Phases)
}

// A bench is a home and a recipe, for the programs in bin.
type bench struct {
	t            *testing.T
	home, recipe string
}

// TestVMBakeOfPackages begins with packages, not with an image: the machine's network comes up by the recipe's own file, before any
// step could bring it.
func TestVMBakeOfPackages(t *testing.T) {
	b := packagesBench(t, `
steps: [{name: tell, run: 'networkctl --no-pager status | grep -o routable >/srv/network'}]
`)
	m := b.bake()
	if !m.Proof.Passed {
		t.Errorf("proof: %+v", m.Proof)
	}
	if got, err := os.ReadFile(filepath.Join(b.home, "images", "vm-test", "root", "srv", "network")); err != nil || !strings.Contains(string(got), "routable") {
		t.Errorf("the machine said %q, %v", got, err)
	}
}

// TestVMRunsWhatHostsMayLack runs tests of what the steps leave in a machine in one that has a device mapper and every module of
// Debian's kernel: volumes of datastores, and rules that keep guests off the storage, also those of a named bridge.
func TestVMRunsWhatHostsMayLack(t *testing.T) {
	b := packagesBench(t, `
packages: [lvm2, xfsprogs, nftables, iptables, ebtables]
steps:
- name: tests
  upload: [{source: install.test, path: /srv/install.test, mode: "0755"}]
  run: |
    modprobe -a dm-mod loop xfs bridge br_netfilter veth
    modprobe nft_meta_bridge || true # some kernels have it inside
    cd /srv && TMPDIR=/srv ./install.test -test.v -test.run 'VMVolumeOfRealDisks|LockdownHolds'
    rm /srv/install.test
`)
	cmd := exec.Command("go", "test", "-c", "-tags", "vm integration", "-o", filepath.Join(filepath.Dir(b.recipe), "install.test"), "goldsmith/builder/install")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b.bake()
	log, err := os.ReadFile(filepath.Join(b.home, "logs", "vm-test", "step-tests.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []string{"TestVMVolumeOfRealDisks", "TestLockdownHoldsInNamespaces", "TestLockdownHoldsInNamespaces/nft", "TestLockdownHoldsInNamespaces/iptables"} {
		if !strings.Contains(string(log), "--- PASS: "+test+" ") {
			t.Errorf("%s did not pass:\n%s", test, log)
		}
	}
}

// TestVMOpenNebulaStep bakes an all-in-one of stand-in packages in a virtual machine, where the step works on a copy of the machine's
// files and brings back what it changed.
func TestVMOpenNebulaStep(t *testing.T) {
	a := archivetest.New(t)
	a.Add(standIns(t)...)
	a.Publish()
	b := packagesBench(t, fmt.Sprintf(strings.Replace(allInOne, "disk: {size: 4G}\n", "", 1), "copy:"+a.Dir))
	key, err := os.ReadFile(a.Keyring)
	if err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(b.recipe), "own.asc"), key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := b.bake()
	if !m.Proof.Passed {
		t.Errorf("proof: %+v", m.Proof)
	}
	root := filepath.Join(b.home, "images", "vm-test", "root")
	conf, err := os.ReadFile(filepath.Join(root, "etc/one/oned.conf"))
	if err != nil || !strings.Contains(string(conf), "-l deploy=deploy.vitastor,save=save.vitastor") {
		t.Errorf("oned.conf is not the plugin's: %v", err)
	}
	out, err := exec.Command("sqlite3", "-readonly", filepath.Join(root, "var/lib/one/one.db"), ".dump").CombinedOutput()
	for _, want := range []string{"<NAME>goldsmith-marker</NAME>", "IMAGE_PREFIX", "<NAME>lan</NAME>"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the database lacks %s: %v\n%s", want, err, out)
		}
	}
}

// packagesBench is the bench that has the layers of debian-minimal, with a recipe upon that.
func packagesBench(t *testing.T, text string) bench {
	t.Helper()
	home := os.Getenv("GOLDSMITH_HOME")
	if home == "" {
		home = builder.DefaultHome
	}
	b := bench{t: t, home: home, recipe: filepath.Join(t.TempDir(), "recipe.yaml")}
	if err := os.WriteFile(b.recipe, []byte("name: vm-test\nextends: debian-minimal\nvm: {memory: 1G}"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Join(home, "images", "vm-test")) })
	return b
}

// newBench makes a home with a copy of the golden debian-minimal that was baked before.
func newBench(t *testing.T) bench {
	t.Helper()
	from := os.Getenv("GOLDSMITH_HOME")
	if from == "" {
		from = builder.DefaultHome
	}
	golden := filepath.Join(from, "images", "debian-minimal")
	if _, err := os.Stat(golden); err != nil {
		t.Fatalf("%v\nhint: goldsmith bake debian-minimal", err)
	}
	dir, err := os.MkdirTemp("/var/tmp", "vmbake-") // a short path, on a real disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := bench{t: t, home: filepath.Join(dir, "home"), recipe: filepath.Join(dir, "recipe.yaml")}
	target := filepath.Join(b.home, "images", "debian-minimal")
	if err := os.MkdirAll(target, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{builder.ImageFile, builder.ManifestFile} {
		if out, err := exec.Command("cp", "--sparse=always", filepath.Join(golden, name), target).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return b
}

func (b bench) write(pairs ...string) {
	b.t.Helper()
	if err := os.WriteFile(b.recipe, []byte(strings.NewReplacer(pairs...).Replace(vmRecipe)), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b bench) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "../../bin/goldsmith", "bake", "--home", b.home, b.recipe)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 2 * time.Minute
	return cmd
}

// bake runs to the end and returns the manifest.
func (b bench) bake() builder.Manifest {
	b.t.Helper()
	start := time.Now()
	out, err := b.command(b.t.Context()).CombinedOutput()
	b.t.Logf("%s\n%s", time.Since(start).Round(time.Second), out)
	if err != nil {
		b.t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(b.home, "images", "vm-test", builder.ManifestFile))
	var m builder.Manifest
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// interrupt bakes until the output has a text, and presses Ctrl-C.
func (b bench) interrupt(text string) {
	b.t.Helper()
	if out := b.cut(text, syscall.SIGINT); !strings.Contains(out, "the same command continues where it stopped") {
		b.t.Fatal("not interrupted")
	}
}

// cut bakes until the output has a text, and sends a signal to goldsmith then. It returns what was said.
func (b bench) cut(text string, sig syscall.Signal) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Minute)
	defer cancel()
	out := &seen{text: text, do: cancel}
	cmd := b.command(ctx)
	cmd.Cancel = func() error { return cmd.Process.Signal(sig) }
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	b.t.Logf("%s", out.all.String())
	if err == nil || !strings.Contains(out.all.String(), text) {
		b.t.Fatalf("not interrupted at %q: %v", text, err)
	}
	return out.all.String()
}

// seen calls do when a text was written to it.
type seen struct {
	all  bytes.Buffer
	text string
	do   func()
}

func (s *seen) Write(p []byte) (int, error) {
	s.all.Write(p)
	if strings.Contains(s.all.String(), s.text) {
		s.do()
	}
	return len(p), nil
}

// nothingRuns fails when a machine, a lock, a socket or a draft of this home is left.
func (b bench) nothingRuns() {
	b.t.Helper()
	b.noMachine()
	for _, pattern := range []string{"locks/*", "run/*", "cache/checkpoints/*.draft"} {
		if left, _ := filepath.Glob(filepath.Join(b.home, pattern)); len(left) > 0 {
			b.t.Errorf("left: %v", left)
		}
	}
}

// noMachine fails when a machine of this home runs. The kernel ends it with goldsmith, a moment later.
func (b bench) noMachine() {
	b.t.Helper()
	var out []byte
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		if out, err = exec.Command("pgrep", "-fa", "qemu-.*"+b.home).CombinedOutput(); err != nil {
			return
		}
	}
	b.t.Errorf("still running: %s", out)
}

// killedRecipe uses all that a step can do, so that there is much to interrupt.
const killedRecipe = `name: vm-test
base: {image: debian-minimal}
vm: {memory: 1G, disks: [{name: data, size: 1G}]}
files: [{path: /etc/motd, content: "from the recipe\n"}]
steps:
- name: one
  upload: [{source: recipe.yaml, path: /srv/recipe}]
  run: |
    echo step one runs
    test -b /dev/vdb && test -s /srv/recipe
    cat # finds nothing on its input, and eats nothing of the script
    if [ ! -e /srv/tried ]; then touch /srv/tried; exit 9; fi
    echo done >/srv/one
  retries: 1
  download: [/srv/one]
  reboot: true
`

// TestVMKilled cuts one bake at one point after another, with Ctrl-C and with SIGKILL in turn. Nothing runs afterwards, nothing is
// locked, and the same command goes on to a proven image.
func TestVMKilled(t *testing.T) {
	b := newBench(t)
	if err := os.WriteFile(b.recipe, []byte(killedRecipe), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"make the disks of the virtual machine", "boot (", "step one runs", "failed, again in", "  reboot", "power off", "make the disk image", "boot a clone as somebody else"} {
		sig := syscall.SIGKILL
		if i%2 == 0 {
			sig = syscall.SIGINT
		}
		b.cut(text, sig)
		b.noMachine()
		if sig == syscall.SIGINT {
			b.nothingRuns()
		}
	}
	m := b.bake()
	if !m.Proof.Passed {
		t.Errorf("proof: %+v", m.Proof)
	}
	b.nothingRuns()
	if got, err := os.ReadFile(filepath.Join(b.home, "logs", "vm-test", "one")); string(got) != "done\n" {
		t.Errorf("the download says %q, %v", got, err)
	}
	root := filepath.Join(b.home, "images", "vm-test", "root")
	if got, err := os.ReadFile(filepath.Join(root, "etc/motd")); string(got) != "from the recipe\n" {
		t.Errorf("the recipe's file says %q, %v", got, err)
	}
}

// TestVMFails shows what is said of steps that fail, take too long, or take the kernel with them. All go on from one checkpoint.
func TestVMFails(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name, steps string
		want        []string
	}{
		{"step", "- {name: wrong turn, run: 'echo last words; exit 7'}", []string{`phase step:wrong turn: failed with status 7:`, "  last words", "hint: all output of the phase: "}},
		{"time", "- {name: slow, run: 'echo here; sleep 100', timeout: 3s}", []string{`step "slow" took longer than 3s`}},
		{"panic", "- {name: bad, run: 'sleep 2; echo c >/proc/sysrq-trigger; sleep 100'}", []string{"the machine's kernel has died: Kernel panic - not syncing: sysrq triggered crash"}},
		{"silence", "boot: {timeout: 2m}\nsteps: [{name: mute, run: 'systemctl mask ssh.service ssh.socket', reboot: true}]", []string{"phase step:mute: the machine did not answer by SSH within 2m0s", "it said last:\n", "hint: its whole console: "}},
	} {
		steps := c.steps
		if !strings.Contains(steps, "steps:") {
			steps = "steps:\n" + steps
		}
		if err := os.WriteFile(b.recipe, []byte("name: vm-test\nbase: {image: debian-minimal}\nvm: {memory: 1G}\n"+steps+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := b.command(t.Context()).CombinedOutput()
		t.Logf("%s: %v\n%s", c.name, err, out)
		if code := exitCode(err); code != int(report.Stopped) {
			t.Errorf("%s: code %d", c.name, code)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: %q is not among what was said", c.name, want)
			}
		}
		b.nothingRuns()
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
