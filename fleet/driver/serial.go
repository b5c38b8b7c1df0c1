package driver

import (
	"net/netip"
	"regexp"
	"strings"
	"time"

	"goldsmith/firstboot/report"
)

// reportLine is the first line of report.Text, wherever on a console it stands: systemd and the kernel put a time or a
// name in front.
var reportLine = regexp.MustCompile(`firstboot: (waiting|working|ready|failed) as (\S*?)(?: at (\S+) on (\S+))?, \d+ changes, \d+ checks, (\S+)`)

// detail is one of the lines behind it that say why.
var detail = regexp.MustCompile(`(error|hint): (.*)$`)

// ansi are the colours and cursor movements that systemd writes to a console.
var ansi = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// readSerial finds the newest report on a serial console, as far as its text says: state, host name, address, reason.
func readSerial(log string) (report.Report, bool) {
	var r report.Report
	found := false
	for line := range strings.Lines(log) {
		line = strings.TrimRight(ansi.ReplaceAllString(line, ""), "\r\n \t")
		if m := reportLine.FindStringSubmatch(line); m != nil {
			r, found = fromLine(m), true
			continue
		}
		if m := detail.FindStringSubmatch(line); m != nil && found && r.State == report.Failed {
			switch {
			case m[1] == "hint":
				r.Hints = append(r.Hints, m[2])
			case r.Error == "":
				r.Error = m[2]
			}
		}
	}
	return r, found
}

func fromLine(m []string) report.Report {
	r := report.Report{Format: 1, State: report.State(m[1])}
	r.Identity.Hostname, r.Identity.Domain, _ = strings.Cut(m[2], ".")
	if a, err := netip.ParseAddr(m[3]); err == nil {
		r.Identity.Address, r.Identity.Interface = a, m[4]
	}
	r.Took, _ = time.ParseDuration(m[5])
	if r.State == report.Failed {
		r.Code = report.Stopped // the console does not tell which
	}
	return r
}
