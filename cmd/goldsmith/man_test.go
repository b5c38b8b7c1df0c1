package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"goldsmith/firstboot/report"
)

func call(t *testing.T, args ...string) (report.Code, string, string) {
	t.Helper()
	var out, errout bytes.Buffer
	code := run(context.Background(), append([]string{"goldsmith"}, args...), strings.NewReader(""), &out, &errout)
	return code, out.String(), errout.String()
}

// Every command is in the manual and in the completion: both come from the list.
func TestManualAndCompletionKnowEveryCommand(t *testing.T) {
	_, page, _ := call(t, "man")
	old := os.Args
	os.Args = []string{"goldsmith", "--generate-bash-completion"} // the library looks there
	t.Cleanup(func() { os.Args = old })
	_, words, _ := call(t, "--generate-bash-completion")
	for _, c := range commands() {
		if !strings.Contains(page, "\n.SH "+c.Name) && !strings.Contains(page, "\n.SS "+c.Name) && !strings.Contains(page, c.Name) {
			t.Errorf("the manual does not know %s", c.Name)
		}
		if !c.Hidden && !strings.Contains("\n"+words, "\n"+c.Name+"\n") {
			t.Errorf("the completion does not know %s", c.Name)
		}
		if c.Usage == "" {
			t.Errorf("%s has no line of help", c.Name)
		}
	}
}

func TestCompletionOfAnUnknownShell(t *testing.T) {
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}, {"man", "x"}} {
		if code, out, _ := call(t, args...); code != report.Usage || out != "" {
			t.Errorf("%v: code %d, printed %q", args, code, out)
		}
	}
	if code, out, _ := call(t, "completion", "bash"); code != report.Done || !strings.Contains(out, "complete ") {
		t.Errorf("bash: %d %q", code, out)
	}
}

func TestUnknownCommand(t *testing.T) {
	code, _, errout := call(t, "nonsense")
	if code != report.Usage || !strings.Contains(errout, `unknown command "nonsense"`) || !strings.Contains(errout, "hint: goldsmith --help") {
		t.Errorf("code %d, said %q", code, errout)
	}
}
