package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"goldsmith/builder/disk/kernel"
	"goldsmith/firstboot/report"
)

// cannotMount says why this host cannot mount what is in an image: no rights, no loop devices, no FUSE. That is so for
// ordinary users, and for root in a container.
func cannotMount(layers []layer, o Options) error {
	if err := kernel.Allowed(); err != nil {
		return err
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("no loop devices: %w", err)
	}
	defer control.Close()
	if _, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE); err != nil {
		return fmt.Errorf("no loop devices: %w", err)
	}
	if len(layers) == 1 && layers[0].Format == formatRaw && !o.Throwaway {
		return nil
	}
	if err := hasFUSE(); err != nil {
		return fmt.Errorf("no FUSE: %w", err)
	}
	if _, err := exec.LookPath("qemu-storage-daemon"); err != nil {
		return errors.New("no qemu-storage-daemon (package qemu-system-common)")
	}
	return nil
}

// hasFUSE opens the device, and looks whether it is one: containers put other things in its place.
func hasFUSE() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if misc, fuse := uint32(10), uint32(229); unix.Major(st.Rdev) != misc || unix.Minor(st.Rdev) != fuse {
		return errors.New("/dev/fuse is another device")
	}
	return nil
}

// openFlat opens an image for a host that cannot mount: a raw one as it is, of any other a raw copy that has no name.
func openFlat(ctx context.Context, layers []layer, o Options, why error) (*access, error) {
	a := &access{method: "a copy (" + why.Error() + ")", why: why, layers: layers}
	if layers[0].Format == formatRaw && len(layers) == 1 {
		raw, err := openRaw(layers[0], o.ReadOnly || o.Throwaway)
		if err != nil {
			return nil, err
		}
		raw.method, raw.why, raw.layers = "the raw file ("+why.Error()+")", why, layers
		return raw, nil
	}
	if err := a.lockBelow(layers, Options{ReadOnly: true}); err != nil {
		return nil, errors.Join(err, a.close())
	}
	if err := CheckRoom(tempDir(), allocated(layers)); err != nil {
		return nil, errors.Join(err, a.close())
	}
	f, err := nameless(tempDir())
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.file = f
	spec, err := json.Marshal(nested(layers))
	if err == nil {
		err = convert(ctx, source{name: "json:" + string(spec)}, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()), ConvertOptions{Format: formatRaw})
	}
	if err != nil {
		return nil, errors.Join(report.Faultf(report.Usage, "cannot open image %s: %w", layers[0].Path, err), a.close())
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.size = st.Size()
	return a, nil
}

// A stretch is a run of bytes that shall change on the disk.
type stretch struct {
	at   int64
	data []byte
}

// maxStretch bounds what is held in memory at a time.
const maxStretch = 4 * mib

// writeBack writes stretches into the image, raw or qcow2; the files that it stands on stay as they are.
func (a *access) writeBack(ctx context.Context, dir string, stretches func(write func(stretch) error) error) error {
	if a.layers[0].Format == formatRaw {
		err := stretches(func(p stretch) error {
			_, err := a.file.WriteAt(p.data, p.at)
			return err
		})
		return errors.Join(err, a.file.Sync())
	}
	spec, err := json.Marshal(writable(a.layers))
	if err != nil {
		return err
	}
	for _, f := range a.locked { // qemu-io takes its own lock
		f.Close()
	}
	a.locked = nil
	var commands []string
	err = stretches(func(p stretch) error {
		name := fmt.Sprintf("%s/stretch%d", dir, len(commands)/2)
		commands = append(commands, "-c", fmt.Sprintf("write -q -s %s %d %d", name, p.at, len(p.data)))
		return os.WriteFile(name, p.data, 0o600)
	})
	if err != nil || len(commands) == 0 {
		return err
	}
	out, err := exec.CommandContext(ctx, "qemu-io", append(commands, "-c", "flush", "json:"+string(spec))...).CombinedOutput()
	switch said := strings.TrimSpace(string(out)); {
	case errors.Is(err, exec.ErrNotFound):
		return toolFault("qemu-io", "qemu-utils", err)
	case strings.Contains(said, "Failed to get"):
		return inUse(a.layers[0].Path)
	case err != nil || said != "":
		return errors.Join(err, fmt.Errorf("qemu-io: %s", said))
	}
	return nil
}

// writable is nested, with the image itself open for writing.
func writable(layers []layer) map[string]any {
	n := layers[0].node(false, "")
	if len(layers) > 1 {
		n["backing"] = nested(layers[1:])
	}
	return n
}
