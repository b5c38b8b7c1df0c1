// Package process holds processes that outlive goldsmith: they are found again by pid and start time, they are let run
// only after somebody has written down that they exist, and they are signalled without ever meeting a recycled pid.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An ID names one process of this machine for ever: a pid alone is used again. The zero ID is no process.
type ID struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // clock ticks from boot to the start of the process: field 22 of proc(5) stat
	Boot  string `json:"boot,omitempty"`  // boot id of the kernel
}

// Of returns the ID of a running process. A zombie counts as gone.
func Of(pid int) (ID, error) {
	st, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	boot, err := bootID()
	return ID{PID: pid, Start: st.start, Boot: boot}, err
}

// Alive says whether the very same process still runs.
func (id ID) Alive() bool {
	if id.PID == 0 {
		return false
	}
	now, err := Of(id.PID)
	return err == nil && now == id
}

// Signal sends sig. A process that is gone is no error. The handle is a pidfd taken before the identity is compared, so
// the signal cannot hit another process that got the pid in between.
func (id ID) Signal(sig syscall.Signal) error {
	if id.PID == 0 {
		return nil
	}
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return fmt.Errorf("cannot open process %d: %w", id.PID, err)
	}
	defer p.Release()
	if !id.Alive() {
		return nil
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("cannot signal process %d: %w", id.PID, err)
	}
	return nil
}

// pollEvery is how often Gone looks: a process that is no child of ours cannot be waited for.
const pollEvery = 20 * time.Millisecond

// Gone waits until the process is gone and says whether it is. It gives up after patience, or when ctx ends.
func (id ID) Gone(ctx context.Context, patience time.Duration) bool {
	deadline := time.Now().Add(patience)
	for id.Alive() {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return false
		}
		time.Sleep(pollEvery)
	}
	return true
}

// killPatience is how long a killed process may take to be gone: on a busy disk it waits for its file systems.
const killPatience = time.Minute

// Kill ends the process by SIGKILL and waits until it is gone.
func (id ID) Kill(ctx context.Context) error {
	if err := id.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !id.Gone(ctx, killPatience) {
		return fmt.Errorf("cannot end process %d: still there %s after SIGKILL", id.PID, killPatience)
	}
	return nil
}

type stat struct {
	comm  string
	state byte
	start uint64
}

// readStat reads what matters of /proc/PID/stat. Zombies and dead processes are reported as gone.
func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	st, err := parseStat(b)
	if err == nil && (st.state == 'Z' || st.state == 'X') {
		err = os.ErrProcessDone
	}
	return st, err
}

// parseStat takes a line of /proc/PID/stat apart. The name stands in parentheses and may hold any byte, ")" included, so
// the last ")" ends it.
func parseStat(line []byte) (stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return stat{}, fmt.Errorf("cannot read process state: no name in %q", line)
	}
	f := strings.Fields(string(line[end+1:]))
	const state, start = 0, 19 // fields 3 and 22 of the line
	if len(f) <= start || len(f[state]) != 1 {
		return stat{}, fmt.Errorf("cannot read process state: %d fields in %q", len(f), line)
	}
	ticks, err := strconv.ParseUint(f[start], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("cannot read process state: %w", err)
	}
	return stat{comm: string(line[open+1 : end]), state: f[state][0], start: ticks}, nil
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
