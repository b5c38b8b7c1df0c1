package driver

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

func TestReportIsReadFromASerialConsole(t *testing.T) {
	const noise = "[\x1b[0;32m  OK  \x1b[0m] Started ssh\r\n[   50.43] kvm: error: none here\r\n"
	tests := []struct {
		name, log string
		want      report.Report
		found     bool
	}{
		{"nothing yet", noise, report.Report{}, false},
		{"ready, with the journal's prefix", noise + "[   55.611917] firstboot[302]: firstboot: ready as t-1.lab at 10.0.9.254 on enp0s2, 1 changes, 1 checks, 9.4s\r\n" + noise,
			report.Report{Format: 1, State: report.Ready, Took: 9.4e9, Identity: identity.Identity{
				Hostname: "t-1", Domain: "lab", Address: netip.MustParseAddr("10.0.9.254"), Interface: "enp0s2"}}, true},
		{"the newest counts", "firstboot: failed as t-1, 0 changes, 0 checks, 1s\nfirstboot: working as t-1, 2 changes, 0 checks, 1s\n",
			report.Report{Format: 1, State: report.Working, Took: 1e9, Identity: identity.Identity{Hostname: "t-1"}}, true},
		{"failed, with its reason", "firstboot: failed as t-1, 0 changes, 0 checks, 2s\n  error: no lease\n  error: and more\n  hint: dhclient -v\n",
			report.Report{Format: 1, State: report.Failed, Took: 2e9, Error: "no lease", Hints: []string{"dhclient -v"}, Code: report.Stopped,
				Identity: identity.Identity{Hostname: "t-1"}}, true},
		{"a line that only looks like it", "firstboot: ready as\n", report.Report{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, found := readSerial(tt.log)
			if diff := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || found != tt.found {
				t.Errorf("found %t, %s", found, diff)
			}
		})
	}
}

// What report.Text prints is what readSerial reads.
func TestSerialReaderKnowsTheWriter(t *testing.T) {
	want := report.Report{Format: 1, State: report.Failed, Error: "it broke", Hints: []string{"mend it"}, Took: 3e9, Code: report.Stopped,
		Identity: identity.Identity{Hostname: "t-1", Domain: "lab", Address: netip.MustParseAddr("10.0.9.7"), Interface: "br-ex"}}
	var text strings.Builder
	want.Text(&text, true)
	got, _ := readSerial(text.String())
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func FuzzSerial(f *testing.F) {
	f.Add("[   55.6] firstboot[302]: firstboot: ready as t-1.lab at 10.0.9.254 on enp0s2, 1 changes, 1 checks, 9.4s\r\n")
	f.Add("firstboot: failed as t, 0 changes, 0 checks, x\n error: \n")
	f.Fuzz(func(t *testing.T, s string) {
		if r, found := readSerial(s); !found && (r.State != "" || r.Error != "") {
			t.Errorf("found nothing, but %+v", r)
		}
	})
}

func TestQemuFilesOfAMachine(t *testing.T) {
	dir := t.TempDir()
	golden := filepath.Join(dir, "golden.raw")
	must(t, os.WriteFile(golden, make([]byte, 1<<20), 0o644))
	m := Machine{Name: "t-1", Unit: "gs1-1", Dir: filepath.Join(dir, "a,b"), Image: Image{Name: "g", Disk: golden}, MAC: "52:54:00:00:00:01",
		Claim: identity.Claim{Hostname: "t-1", Instance: "x"}}
	must(t, os.Mkdir(m.Dir, 0o700))
	must(t, Qemu{}.Create(t.Context(), m))
	f, err := os.Open(overlayOf(m))
	must(t, err)
	defer f.Close()
	h, err := qcow2.Read(f)
	if err != nil || h.Backing != golden || h.BackingFormat != "raw" || h.Size != 1<<20 {
		t.Errorf("the overlay is %+v, %v", h, err)
	}
	b, err := os.ReadFile(smbiosOf(m))
	if want := `io.systemd.credential:goldsmith.identity={"hostname":"t-1","instance":"x"}`; err != nil || string(b) != want {
		t.Errorf("SMBIOS holds %q, %v", b, err)
	}
	argv := strings.Join(qemuCommand(m, "tcg"), " ")
	for _, want := range []string{"a,,b/smbios", "a,,b/console.log", "mac=52:54:00:00:00:01", "accel=tcg", "-m 1024", "-smp 1"} {
		if !strings.Contains(argv, want) {
			t.Errorf("no %q in %s", want, argv)
		}
	}
	if strings.Contains(argv, "instance") {
		t.Error("the claim stands in the process list")
	}
	if !json.Valid([]byte(blockdev(m))) {
		t.Errorf("no JSON: %s", blockdev(m))
	}
}

func TestQemuRefusesBeforeItStarts(t *testing.T) {
	dir := t.TempDir()
	torn := filepath.Join(dir, "torn.qcow2")
	must(t, os.WriteFile(torn, []byte(qcow2.Magic+"rubbish"), 0o644))
	good := filepath.Join(dir, "good.raw")
	must(t, os.WriteFile(good, make([]byte, 512), 0o644))
	tests := []struct {
		name string
		m    Machine
		want string
	}{
		{"an image without a disk", Machine{Image: Image{Name: "x", Root: "/"}}, "has no disk"},
		{"a disk that is not there", Machine{Image: Image{Name: "x", Disk: dir + "/none"}}, "no such file"},
		{"a torn qcow2", Machine{Image: Image{Name: "x", Disk: torn}}, "not a valid qcow2"},
		{"firstboot off", Machine{Image: Image{Name: "x", Disk: good}, Off: true}, "cannot switch firstboot off"},
		{"a path too long for a socket", Machine{Image: Image{Name: "x", Disk: good}, Dir: "/" + strings.Repeat("d", 110)}, "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Qemu{}.Check(t.Context(), tt.m)
			if err == nil || !strings.Contains(err.Error(), tt.want) || report.CodeOf(err) != report.Usage {
				t.Errorf("got %v, want bad input saying %q", err, tt.want)
			}
		})
	}
}
