package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// forbidden says what firstboot must not be made of, and why. The size of a clone's first program is a promise, and what
// it does not contain cannot be attacked.
var forbidden = map[string]string{
	"goldsmith/builder":         "the other trade: needs QEMU, mounts, YAML; nothing of it belongs on a clone",
	"goldsmith/fleet":           "clones do not know of each other",
	"gopkg.in/yaml.v3":          "no YAML on a clone: half a megabyte, and a parser for input that we do not have",
	"go.yaml.in/yaml/v3":        "the same",
	"net/http":                  "a clone serves nothing; 1.3 MB",
	"github.com/diskfs":         "images are the builder's",
	"encoding/gob":              "nobody needs it",
	"html/template":             "nobody needs it",
	"github.com/hanwen/go-fuse": "images are the builder's",
}

// walls are the imports that must not happen inside firstboot, by prefix of the importing package (DESIGN, section 3).
var walls = []struct{ from, to, why string }{
	{"goldsmith/firstboot/rewriters", "goldsmith/firstboot/effect", "a rewriter proposes and cannot write"},
	{"goldsmith/firstboot/rewriters", "goldsmith/firstboot/journal", "a rewriter proposes and cannot write"},
	{"goldsmith/firstboot/rewriters", "os/exec", "a rewriter looks through host.Reader only"},
	{"goldsmith/firstboot/check", "goldsmith/firstboot/effect", "a check reads and never mends"},
	{"goldsmith/firstboot/plan", "goldsmith/firstboot/", "data only"},
	{"goldsmith/firstboot/identity", "goldsmith/", "the contract between both programs knows neither"},
	{"goldsmith/firstboot/text", "os", "bytes in, bytes out"},
	{"goldsmith/firstboot/text", "net/http", "bytes in, bytes out"},
	{"goldsmith/firstboot/text", "goldsmith/firstboot/host", "bytes in, bytes out"},
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-tags", "urfave_cli_no_docs,urfave_cli_no_suggest"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func TestFirstbootIsNotMadeOf(t *testing.T) {
	deps := goList(t, "-deps", ".")
	if len(deps) < 50 {
		t.Fatalf("only %d packages listed", len(deps))
	}
	for _, d := range deps {
		for bad, why := range forbidden {
			if d == bad || strings.HasPrefix(d, bad+"/") {
				t.Errorf("firstboot contains %s: %s", d, why)
			}
		}
	}
}

func TestWalls(t *testing.T) {
	seen := 0
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "goldsmith/firstboot/...") {
		f := strings.Fields(line)
		for _, imp := range f[1:] {
			for _, w := range walls {
				inside := strings.HasPrefix(imp, "goldsmith/firstboot/text") && w.from == "goldsmith/firstboot/text"
				if under(f[0], w.from) && (under(imp, strings.TrimSuffix(w.to, "/")) || strings.HasSuffix(w.to, "/") && strings.HasPrefix(imp, w.to)) && !inside &&
					!strings.HasSuffix(f[0], "texttest") && !strings.HasSuffix(f[0], "rewritertest") {
					t.Errorf("%s imports %s: %s", f[0], imp, w.why)
				}
				seen++
			}
		}
	}
	if seen == 0 {
		t.Error("no import was looked at")
	}
}

// under tells whether package p is prefix or below it.
func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// TestSize builds the binary as the Makefile does. 9 MB is the promise in the README.
func TestSize(t *testing.T) {
	const limit = 9_000_000
	bin := filepath.Join(t.TempDir(), "firstboot")
	cmd := exec.Command("go", "build", "-tags", "urfave_cli_no_docs,urfave_cli_no_suggest,purego", "-trimpath", "-gcflags=all=-l",
		"-ldflags", "-s -w -buildid= -funcalign=1", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOEXPERIMENT=nogreenteagc")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	info, err := os.Stat(bin)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= limit {
		t.Errorf("firstboot has %d bytes, %d is the limit", info.Size(), limit)
	}
	t.Logf("firstboot: %d bytes", info.Size())
	if out, err := exec.Command("file", bin).Output(); err == nil && !strings.Contains(string(out), "statically linked") {
		t.Errorf("not static: %s", out)
	}
}
