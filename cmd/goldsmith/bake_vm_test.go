//go:build vm

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"goldsmith/builder"
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

	b.write("SLEEP", "600", "WORD", "first")
	b.interrupt("here we are")
	b.nothingRuns()

	b.write("SLEEP", "0", "WORD", "first")
	first := b.bake()
	want(t, first, "machine", true)
	want(t, first, "step:one", true)
	want(t, first, "step:two", false) // its sleep is part of its key; it had not ended anyway
	if first.Proof.Why != "" || !first.Proof.Passed {
		t.Errorf("proof: %+v", first.Proof)
	}

	b.write("SLEEP", "0", "WORD", "second")
	second := b.bake()
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
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Minute)
	defer cancel()
	out := &seen{text: text, do: cancel}
	cmd := b.command(ctx)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	b.t.Logf("%s", out.all.String())
	if err == nil || !strings.Contains(out.all.String(), "the same command continues where it stopped") {
		b.t.Fatalf("not interrupted: %v", err)
	}
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
	if out, err := exec.Command("pgrep", "-fa", "qemu-system.*"+b.home).CombinedOutput(); err == nil {
		b.t.Errorf("still running: %s", out)
	}
	for _, pattern := range []string{"locks/*", "run/*", "cache/checkpoints/*.draft"} {
		if left, _ := filepath.Glob(filepath.Join(b.home, pattern)); len(left) > 0 {
			b.t.Errorf("left: %v", left)
		}
	}
}
