package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// parentGroup is the folder, in every cgroup hierarchy, below which machines have theirs.
const parentGroup = "goldsmith"

// A group is a machine's folder in every cgroup hierarchy of the host. systemd as PID 1 of a machine takes over the group
// that it starts in, so that must not be ours.
type group struct{ dirs []string }

// newGroup makes the folders of a machine.
func newGroup(name string) (*group, error) {
	hierarchies, err := hierarchies()
	if err != nil {
		return nil, err
	}
	g := &group{}
	for _, h := range hierarchies {
		dir := filepath.Join(h, parentGroup, "bake-"+name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make cgroup: %w", err)
		}
		g.dirs = append(g.dirs, dir)
	}
	return g, nil
}

// hierarchies lists where cgroup file systems are mounted. The cpuset hierarchy of version 1 takes no process before
// somebody has given it CPUs, so it is left out.
func hierarchies() ([]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 3 && (f[2] == "cgroup2" || f[2] == "cgroup" && !strings.Contains(","+f[3]+",", ",cpuset,")) {
			out = append(out, f[1])
		}
	}
	if len(out) == 0 {
		return nil, errors.New("cannot find a mounted cgroup hierarchy")
	}
	return out, nil
}

// start starts cmd inside the group, if there is one: a shell moves itself in before it becomes the program.
func (g *group) start(cmd *exec.Cmd) error {
	if g == nil {
		return cmd.Start()
	}
	const shim = `while [ "$1" != -- ]; do echo 0 > "$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"`
	path, err := exec.LookPath(cmd.Args[0])
	if err != nil {
		return err
	}
	args := append([]string{"sh", "-c", shim, "sh"}, g.dirs...)
	cmd.Args = append(append(append(args, "--"), path), cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	return cmd.Start()
}

// remove removes the folders. The kernel lets go of them a moment after their last process.
func (g *group) remove() error {
	return removeGroups(g.dirs)
}

// RemoveGroups removes what a killed bake left in the cgroup hierarchies. A group with a process in it stays: it is that of a
// bake into another home. (Whose processes these are cannot be seen: they are in another pid namespace.)
func RemoveGroups() error {
	hs, err := hierarchies()
	if err != nil {
		return err
	}
	var errs []error
	for _, h := range hs {
		found, err := filepath.Glob(filepath.Join(h, parentGroup, "bake-*"))
		errs = append(errs, err)
		for _, dir := range found {
			if err := removeBelow(dir); !errors.Is(err, unix.EBUSY) {
				errs = append(errs, err)
			}
		}
		_ = os.Remove(filepath.Join(h, parentGroup)) // refused while machines are in it
	}
	return errors.Join(errs...)
}

func removeGroups(dirs []string) error {
	var errs []error
	for _, top := range dirs {
		deadline := time.Now().Add(2 * time.Second)
		for {
			err := removeBelow(top)
			if err == nil || time.Now().After(deadline) {
				errs = append(errs, err)
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		_ = os.Remove(filepath.Dir(top)) // refused while other machines are in it
	}
	return errors.Join(errs...)
}

// removeBelow removes a cgroup folder, children first. Only folders can be removed in it.
func removeBelow(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return passOver(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeBelow(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return passOver(unix.Rmdir(dir))
}

func passOver(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
