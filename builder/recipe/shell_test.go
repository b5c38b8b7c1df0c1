package recipe

import (
	"os/exec"
	"strings"
	"testing"
)

// TestNoCommandEatsTheScript: what reads its input finds nothing there, and the step goes on; errors tell the script's lines.
func TestNoCommandEatsTheScript(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"a reader":             {"cat\necho after\n", "after\n"},
		"a reader of a line":   {"read -r x || echo none\necho \"after ${x-}\"\n", "none\nafter \n"},
		"a heredoc":            {"cat <<END\nin\nEND\necho after\n", "in\nafter\n"},
		"an error ends it":     {"echo one\nfalse\necho two\n", "one\nexit status 1"},
		"a variable not set":   {"echo one\n\necho \"$nothing\"\n", "one\nsh: 3: nothing: parameter not set\nexit status 2"},
		"a trap":               {"trap 'echo bye' EXIT\nexit 3\n", "bye\nexit status 3"},
		"quotes and backslash": {"printf '%s\\n' 'a\"b' \"c'd\" '\\'\n", "a\"b\nc'd\n\\\n"},
		"nothing":              {"", ""},
	} {
		shell := Shell()
		cmd := exec.Command(shell[0], shell[1:]...)
		cmd.Stdin = strings.NewReader(c.script)
		out, err := cmd.CombinedOutput()
		got := string(out)
		if err != nil {
			got += err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
