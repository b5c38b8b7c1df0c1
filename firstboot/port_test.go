package firstboot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

func TestReportsGoThroughThePort(t *testing.T) {
	root := t.TempDir()
	h, err := host.Open(root, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	e := &Engine{Host: h}
	rep := &report.Report{State: report.Working}
	e.tellPort(rep) // most machines have no port
	if len(rep.Checks) != 0 {
		t.Errorf("without a port: %v", rep.Checks)
	}
	port := filepath.Join(root, identity.ReportPort)
	if err := os.MkdirAll(filepath.Dir(port), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(port, 0o600); err != nil {
		t.Fatal(err)
	}
	e.tellPort(rep) // nobody has opened the other end
	if len(rep.Checks) != 1 || rep.Checks[0].Verdict != report.Warn {
		t.Errorf("with a port that nobody listens at: %v", rep.Checks)
	}
	end, err := os.OpenFile(port, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	rep = &report.Report{State: report.Ready, Error: "a\nb"}
	e.tellPort(rep)
	buf := make([]byte, 1<<16)
	n, err := end.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	var got report.Report
	if line := string(buf[:n]); strings.Count(line, "\n") != 1 || json.Unmarshal(buf[:n], &got) != nil || got.State != report.Ready || len(rep.Checks) != 0 {
		t.Errorf("the port got %q, the report says %v", line, rep.Checks)
	}
}
