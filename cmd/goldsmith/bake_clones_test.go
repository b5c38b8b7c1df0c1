//go:build clones

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"goldsmith/builder"
	"goldsmith/firstboot/report"
	"goldsmith/fleet/driver/drivertest"
)

// A bakery is a home with a base layer as a bootstrap leaves it, so that a bake needs no network, and both programs.
type bakery struct {
	t    *testing.T
	home string
	bin  string
}

const baseRecipe = `
name: trial
base: {suite: bookworm, packages: [systemd-sysv]}
services: {disable: [become.service], enable: [systemd-networkd.service]}
proof: {timeout: 60s}
`

func newBakery(t *testing.T) *bakery {
	t.Helper()
	b := &bakery{t: t, home: filepath.Join(t.TempDir(), "home"), bin: t.TempDir()}
	for _, program := range []string{"goldsmith", "firstboot"} {
		build := exec.Command("go", "build", "-o", filepath.Join(b.bin, program), "goldsmith/cmd/"+program)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	_, plan, _ := b.run("bake", "--plan", b.recipe(""))
	key := regexp.MustCompile(`base +run ([0-9a-f]{20})`).FindStringSubmatch(plan)
	if key == nil {
		t.Fatalf("no key of the base in the plan:\n%s", plan)
	}
	layer := filepath.Join(b.home, "cache", "layers", key[1])
	b.must("mkdir", "-p", layer)
	b.must("cp", "-a", drivertest.SmallTree(t), filepath.Join(layer, "tree"))
	if err := os.WriteFile(filepath.Join(layer, "layer.json"), []byte(`{"phase":"base"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bakery) must(argv ...string) {
	b.t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// recipe writes the base recipe with more to it.
func (b *bakery) recipe(more string) string {
	b.t.Helper()
	path := filepath.Join(b.bin, "trial.yaml")
	if err := os.WriteFile(path, []byte(baseRecipe+more), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return path
}

func (b *bakery) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(b.bin, "goldsmith"), args...)
	cmd.Env = append(os.Environ(), "GOLDSMITH_HOME="+b.home)
	return cmd
}

// run runs goldsmith and returns its exit code and what it said.
func (b *bakery) run(args ...string) (code report.Code, stdout, stderr string) {
	b.t.Helper()
	var out, errs bytes.Buffer
	cmd := b.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return report.Code(cmd.ProcessState.ExitCode()), out.String(), errs.String()
}

// clean fails the test when anything of a bake runs, is mounted or waits half-made.
func (b *bakery) clean() {
	b.t.Helper()
	if left := drivertest.Traces(b.t, b.home); len(left) > 0 {
		b.t.Errorf("left behind: %v", left)
	}
	for _, pattern := range []string{"images/*", "images/.*", "cache/layers/*.new", "locks/*"} {
		found, _ := filepath.Glob(filepath.Join(b.home, pattern))
		if len(found) > 0 {
			b.t.Errorf("left behind: %v", found)
		}
	}
}

// phases returns what happened to the phases of a bake told as JSON.
func phases(t *testing.T, out string) map[string]builder.Kind {
	t.Helper()
	seen := map[string]builder.Kind{}
	for line := range strings.Lines(out) {
		var e builder.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if e.Kind != builder.Progress {
			seen[e.Phase] = e.Kind
		}
	}
	return seen
}

// TestBakeRoad bakes an image with a real trial clone, looks into it, and bakes it again.
func TestBakeRoad(t *testing.T) {
	b := newBakery(t)
	recipe := b.recipe(`
files: [{path: /etc/motd, content: "from the recipe\n", mode: "0600"}]
steps:
- {name: who, run: 'hostname > /root/baked-as; ip -4 -o addr show host0 > /root/address; ! ip route get 192.0.2.1'}
audit: {accept: [{path: /root/baked-as, why: for this test}, {path: /root/address, why: for this test}]}
`)
	if code, out, errs := b.run("bake", "--until", "configure", recipe); code != report.Done || !strings.Contains(out, "stopped after phase configure") {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	code, out, errs := b.run("bake", "--json", recipe)
	if code != report.Done {
		t.Fatalf("code %d\n%s", code, errs)
	}
	got := phases(t, out)
	if got["configure"] != builder.Cached || got["seal"] != builder.End || got["proof"] != builder.End || got["publish"] != builder.End {
		t.Errorf("phases after a stop: %v", got)
	}
	root := filepath.Join(b.home, "images", "trial", "root")
	for file, want := range map[string]string{
		"etc/motd": "from the recipe\n", "etc/machine-id": "uninitialized\n", "root/baked-as": "goldsmith-marker\n",
	} {
		if data, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v; want %q", file, data, err, want)
		}
	}
	if data, _ := os.ReadFile(filepath.Join(root, "root/address")); !bytes.Contains(data, []byte("198.51.100.77/24")) {
		t.Errorf("the steps ran with the address %q", data)
	}
	m, err := builder.Home{Dir: b.home}.ReadManifest("trial")
	if err != nil || !m.Proof.Passed || len(m.Packages) < 50 || len(m.Disk.SHA256) != 64 || m.Accelerator != "none" {
		t.Errorf("manifest: %+v, %v", m, err)
	}
	if left := drivertest.Traces(t, b.home); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, out, _ = b.run("bake", "--json", recipe)
	if got := phases(t, out); got["configure"] != builder.Cached || got["image"] != builder.Skipped || got["publish"] != builder.Skipped {
		t.Errorf("phases of the second bake: %v", got)
	}
}

// TestBakeFails shows what a step that fails leaves: nothing but the layers before it and a log.
func TestBakeFails(t *testing.T) {
	b := newBakery(t)
	code, _, errs := b.run("bake", b.recipe("steps: [{name: wrong turn, run: 'echo last words; exit 7'}]\n"))
	if code != report.Stopped || !strings.Contains(errs, `step "wrong turn": command failed: sh: exit status 7`) || !strings.Contains(errs, "last words") {
		t.Errorf("code %d\n%s", code, errs)
	}
	log := regexp.MustCompile(`hint: all output of the phase: (\S+)`).FindStringSubmatch(errs)
	if log == nil {
		t.Fatalf("no hint at the log:\n%s", errs)
	}
	if data, err := os.ReadFile(log[1]); err != nil || !bytes.Contains(data, []byte("last words")) {
		t.Errorf("log: %q, %v", data, err)
	}
	b.clean()
	code, _, errs = b.run("bake", b.recipe("steps: [{name: slow, run: 'sleep 100', timeout: 1s}]\n"))
	if code != report.Stopped || !strings.Contains(errs, "took longer than 1s") {
		t.Errorf("code %d\n%s", code, errs)
	}
	b.clean()
}

// TestUnprovenIsNotPublished puts a firstboot into the image that does nothing: no clone becomes itself, and there is no
// image of the name.
func TestUnprovenIsNotPublished(t *testing.T) {
	b := newBakery(t)
	recipe := strings.Replace(baseRecipe, "60s", "8s", 1)
	path := filepath.Join(b.bin, "lazy.yaml")
	if err := os.WriteFile(path, []byte(recipe), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := b.run("bake", "--firstboot", "/bin/true", path)
	if code != report.Unverified || !strings.Contains(errs, "did not pass its proof") {
		t.Errorf("code %d\n%s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(b.home, "images", "trial")); err == nil {
		t.Error("it was published")
	}
	if code, out, errs := b.run("clean"); code != report.Done || !strings.Contains(out, ".trial.new") {
		t.Errorf("clean: code %d\n%s%s", code, out, errs)
	}
	b.clean()
}

// TestBakeKilled stops a bake in the middle of a step in every way there is.
func TestBakeKilled(t *testing.T) {
	b := newBakery(t)
	recipe := b.recipe("steps: [{name: sleeper, run: 'sleep 1000'}]\n")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := b.command("bake", "--json", recipe)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for sc := bufio.NewScanner(out); sc.Scan() && !strings.Contains(sc.Text(), `"sleeper"`); {
			}
			if code, _, errs := b.run("bake", recipe); code != report.Usage || !strings.Contains(errs, "somebody else is at work on it") {
				t.Errorf("a second bake of the same name: code %d\n%s", code, errs)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // says that it was stopped
			if code := report.Code(cmd.ProcessState.ExitCode()); sig != syscall.SIGKILL && code != report.Stopped {
				t.Errorf("code %d", code)
			}
			deadline := time.Now().Add(5 * time.Second)
			for len(drivertest.Traces(t, b.home)) > 0 && time.Now().Before(deadline) {
				time.Sleep(50 * time.Millisecond)
			}
			if sig == syscall.SIGKILL { // files stay, and the next command finds them
				if code, out, errs := b.run("clean"); code != report.Done || !slices.ContainsFunc(strings.Split(out, "\n"), func(l string) bool { return strings.HasSuffix(l, ".new") }) {
					t.Errorf("clean: code %d\n%s%s", code, out, errs)
				}
			}
			b.clean()
		})
	}
}
