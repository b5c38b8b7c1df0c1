package volume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"goldsmith/firstboot/cut"
	"goldsmith/firstboot/pv"
)

// steps lists what Grow does.
func (r *Root) steps(unfinished bool) []func(context.Context) error {
	var list []func(context.Context) error
	if r.Number > 0 {
		list = append(list, r.growPart)
	}
	if r.PV > 0 {
		// What a group has left may be left on purpose: it is taken only together with what the disk gained.
		if unfinished || r.Part.Size-r.PV >= Slack || r.Disk.Size-r.Start-r.Part.Size >= Slack {
			list = append(list, r.growPV, r.growLV)
		}
	}
	return append(list, r.growFS)
}

// lvm runs one of LVM's commands.
func lvm(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "lvm", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1")
	out, err := cmd.CombinedOutput()
	cut.Point("lvm " + args[0])
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("cannot grow logical volume: the tool lvm is missing (package lvm2)")
	case err != nil && !bytes.Contains(out, []byte("matches existing size")) && !bytes.Contains(out, []byte("No size change")):
		return fmt.Errorf("cannot grow logical volume: %s: %w: %.200s", args[0], err, bytes.TrimSpace(out))
	}
	return nil
}

func (r *Root) growPV(ctx context.Context) error { return lvm(ctx, "pvresize", r.Part.node()) }

func (r *Root) growLV(ctx context.Context) error {
	name, err := os.ReadFile(sys(r.Volume) + "/dm/name")
	if err != nil {
		return err
	}
	return lvm(ctx, "lvextend", "-l", "+100%FREE", groupAndVolume(strings.TrimSpace(string(name))))
}

// groupAndVolume undoes the device mapper's name: the two are joined by one dash, and their own dashes are doubled.
func groupAndVolume(mapped string) string {
	const dash = "\x00"
	s := strings.ReplaceAll(mapped, "--", dash)
	return strings.ReplaceAll(strings.Replace(s, "-", "/", 1), dash, "-")
}

var errPV = errors.New("its logical volume is on no LVM disk that can be read")

// pvSize reads from the metadata of a physical volume how many bytes its group takes it for. The label only says how many there
// were when it was made.
func pvSize(r io.ReaderAt) (int64, error) {
	id, text, err := pv.Read(r)
	if err != nil {
		return 0, errors.Join(errPV, err)
	}
	_, own, _ := bytes.Cut(text, []byte(`id = "`+pv.Dashed(id)+`"`))
	_, own, _ = bytes.Cut(own, []byte("dev_size = "))
	digits := len(own) - len(bytes.TrimLeft(own, "0123456789"))
	sectors, err := strconv.ParseInt(string(own[:digits]), 10, 50)
	if err != nil {
		return 0, errPV
	}
	return 512 * sectors, nil
}
