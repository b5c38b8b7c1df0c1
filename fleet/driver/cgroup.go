package driver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupParent is the folder below which every machine has its own, in every hierarchy.
const cgroupParent = "goldsmith"

// A cgroup is the set of folders, one in each hierarchy that the host has mounted, that holds all processes of a machine.
// What is in it can be ended to the last process, whichever of them has already lost its parent.
type cgroup []string

// cgroupOf names the cgroup of a unit. It makes nothing.
func cgroupOf(unit string) (cgroup, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	mounts, err := parseHierarchies(f)
	if err != nil {
		return nil, err
	}
	var c cgroup
	for _, m := range mounts {
		c = append(c, filepath.Join(m, cgroupParent, unit))
	}
	if len(c) == 0 {
		return nil, errors.New("cannot find a mounted cgroup hierarchy")
	}
	return c, nil
}

// parseHierarchies returns where cgroup hierarchies are mounted. The v1 cpuset hierarchy is left out: it takes no
// process before somebody has chosen CPUs and memory nodes for it.
func parseHierarchies(mountinfo io.Reader) ([]string, error) {
	var out []string
	sc := bufio.NewScanner(mountinfo)
	for sc.Scan() {
		before, after, _ := strings.Cut(sc.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) < 6 || len(right) < 3 {
			continue
		}
		where, kind, options := left[4], right[0], strings.Split(right[2], ",")
		if kind == "cgroup2" || kind == "cgroup" && !slices.Contains(options, "cpuset") {
			out = append(out, where)
		}
	}
	return out, sc.Err()
}

// make makes the folders.
func (c cgroup) make() error {
	for _, dir := range c {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make a cgroup: %w", err)
		}
	}
	return nil
}

// add moves a process in.
func (c cgroup) add(pid int) error {
	for _, dir := range c {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("cannot move process %d into its cgroup: %w", pid, err)
		}
	}
	return nil
}

// pids lists the processes in all folders and below them.
func (c cgroup) pids() ([]int, error) {
	var out []int
	err := c.walk(func(dir string) error {
		b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		for f := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				out = append(out, pid)
			}
		}
		return err
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

// walk calls f for every folder, children first. Folders that vanish meanwhile are passed over.
func (c cgroup) walk(f func(dir string) error) error {
	for _, top := range c {
		var dirs []string
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return passOver(err)
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			err = errors.Join(err, passOver(f(dir)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// passOver drops errors of folders that are gone. The kernel says ENODEV for a file of a cgroup that was just removed.
func passOver(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// freezePatience is how long the kernel may take to stop all processes: one that waits for a disk stops after that.
const freezePatience = 30 * time.Second

// freeze stops every process inside and returns when all stand still, or with an error and none of them stopped.
func (c cgroup) freeze(ctx context.Context) error {
	dir, v1 := c.freezer()
	if dir == "" {
		return errors.New("cannot freeze processes: this kernel has no freezer")
	}
	file, word, state, frozen := "cgroup.freeze", "1", "cgroup.events", "frozen 1"
	if v1 {
		file, word, state, frozen = "freezer.state", "FROZEN", "freezer.state", "FROZEN"
	}
	err := os.WriteFile(filepath.Join(dir, file), []byte(word), 0)
	for deadline := time.Now().Add(freezePatience); err == nil; time.Sleep(5 * time.Millisecond) {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(dir, state)); err == nil && strings.Contains(string(b), frozen) {
			return nil
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			err = errors.Join(ctx.Err(), fmt.Errorf("not frozen within %s", freezePatience))
		}
	}
	return errors.Join(fmt.Errorf("cannot freeze processes: %w", err), c.thaw())
}

// thaw lets all go on. A cgroup that is gone, or that nobody has frozen, is no error.
func (c cgroup) thaw() error {
	dir, v1 := c.freezer()
	if dir == "" {
		return nil
	}
	file, word := "cgroup.freeze", "0"
	if v1 {
		file, word = "freezer.state", "THAWED"
	}
	return passOver(os.WriteFile(filepath.Join(dir, file), []byte(word), 0))
}

// freezer finds the folder whose processes can be stopped: in version 2 (Linux 5.2) or in the hierarchy of version 1.
func (c cgroup) freezer() (dir string, v1 bool) {
	for _, dir := range c {
		if exists(filepath.Join(dir, "freezer.state")) {
			return dir, true
		}
	}
	for _, dir := range c {
		if exists(filepath.Join(dir, "cgroup.freeze")) {
			return dir, false
		}
	}
	return "", false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// killPatience is how long a killed process may take to be gone: on a busy disk the last one waits for its file systems.
const killPatience = time.Minute

// kill ends every process inside and returns when none is left. It goes on until it finds none: a process may fork
// between being listed and being hit.
func (c cgroup) kill(ctx context.Context) error {
	if err := c.thaw(); err != nil { // the frozen of version 1 do not even die
		return err
	}
	deadline := time.Now().Add(killPatience)
	for {
		pids, err := c.pids()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // gone already is what we want
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("cannot end processes %v: still there after SIGKILL", pids)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// remove removes the folders, and the parent where this was the last machine. The kernel lets go of a folder a moment
// after its last process, so it is tried for a while.
func (c cgroup) remove() error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		err := c.walk(os.Remove)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot remove a cgroup: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, dir := range c {
		_ = os.Remove(filepath.Dir(dir)) // refused while other machines are in it
	}
	return nil
}

// MemoryOf returns the bytes of anonymous memory that the processes of a machine use, without the page cache, or zero
// where no hierarchy counts memory.
func MemoryOf(m Machine) int64 {
	group, err := cgroupOf(m.Unit)
	if err != nil {
		return 0
	}
	for _, dir := range group {
		b, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
		if err != nil {
			continue
		}
		if n, ok := anonymous(string(b)); ok {
			return n
		}
	}
	return 0
}

// anonymous reads memory.stat: total_rss in version 1 (the sum over the folders below), anon in version 2.
func anonymous(stat string) (int64, bool) {
	for line := range strings.Lines(stat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == "total_rss" || key == "anon" {
			n, err := strconv.ParseInt(value, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
