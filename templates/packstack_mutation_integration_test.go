//go:build integration

package templates

import (
	"flag"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// idle are lines that make no difference in a stub root, with the reason.
var idle = map[string]string{
	"set -eu": "a step's shell has that already",
	";;":      "before esac, where none is needed",
	"exit 1":  "behind a command that has just failed once more",
}

// full asks for every line. Without it one in five is taken out, which shows what a change of the scenes does to them.
var full = flag.Bool("full", false, "take out every line (make proof)")

// TestEveryLineOfThePackstackScriptsMatters takes out one line after another: a scene must notice each time. So no edit that
// loses something goes unseen.
func TestEveryLineOfThePackstackScriptsMatters(t *testing.T) {
	scripts, err := fs.Glob(FS, "packstack/*.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range scripts {
		script := filepath.Base(path)
		data, err := fs.ReadFile(FS, path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(data), "\n")
		t.Run(script, func(t *testing.T) {
			known := map[string]string{}
			for i, line := range lines {
				text := strings.TrimSpace(line)
				if text == "" || strings.HasPrefix(text, "#") || !*full && i%5 != 0 {
					continue
				}
				without := strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "")
				if !noticed(t, script, without, known) && idle[text] == "" {
					t.Errorf("line %d can go, and no scene notices: %s", i+1, text)
				}
			}
		})
	}
}

// noticed tells whether a scene of a script comes to something else with another text.
func noticed(t *testing.T, script, text string, known map[string]string) bool {
	for _, c := range scenes {
		if c.script != script {
			continue
		}
		if _, ok := known[c.name]; !ok {
			known[c.name] = outcome(t, script, c.prepare, func(text string) string { return text })
		}
		if outcome(t, script, c.prepare, func(string) string { return text }) != known[c.name] {
			return true
		}
	}
	return false
}
