package firstboot

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
)

// portPatience is how long the host may take to read a report. A clone does not wait for a host that does not listen.
const portPatience = 5 * time.Second

// tellPort writes the report, as one line, to the virtio port that a host gives a machine for it. Most have none.
func (e *Engine) tellPort(rep *report.Report) {
	f, err := e.Host.OpenFile(identity.ReportPort, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = writeLine(f, rep)
	}
	if err != nil {
		rep.Checks = append(rep.Checks, report.Outcome{By: "report-port", What: "the report arrived", Verdict: report.Warn, Why: err.Error()})
	}
}

func writeLine(f *os.File, rep *report.Report) error {
	defer f.Close()
	line, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	_ = f.SetWriteDeadline(time.Now().Add(portPatience)) // refused for what never blocks
	_, err = f.Write(append(line, '\n'))
	return err
}
