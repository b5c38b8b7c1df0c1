package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"goldsmith/firstboot/report"
)

// maxLog is how much of the end of a log is looked through for a report: a clone may say as much as it likes.
const maxLog = 4 << 20

// spoken returns the newest report of a virtual machine: the whole one that came through its virtio port, or what its
// serial console says, where that is further. An image with an older firstboot has the console only.
func spoken(m Machine) (report.Report, error) {
	lines, err := tail(portLogOf(m), maxLog)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return report.Report{}, err
	}
	r, ok := readPort(lines)
	if ok && r.State.Final() {
		return r, nil
	}
	log, err := tail(m.Console(), maxLog)
	if err != nil {
		return report.Report{}, err
	}
	if said, heard := readSerial(string(log)); heard && (!ok || said.State.Final()) {
		r, ok = said, true
	}
	if !ok {
		return r, fmt.Errorf("cannot find a report of %s: %w", m.Name, fs.ErrNotExist)
	}
	return r, nil
}

// readPort finds the newest report among lines of JSON. The last line may not have come whole, and the first may have
// lost its beginning.
func readPort(lines []byte) (report.Report, bool) {
	whole := lines[:bytes.LastIndexByte(lines, '\n')+1]
	for len(whole) > 0 {
		begin := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
		var r report.Report
		if err := json.Unmarshal(whole[begin:], &r); err == nil && r.State != "" {
			return r, true
		}
		whole = whole[:begin]
	}
	return report.Report{}, false
}

// tail returns up to n bytes of the end of a file.
func tail(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, st.Size()-n), n))
}
