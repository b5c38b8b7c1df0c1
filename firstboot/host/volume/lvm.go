package volume

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"goldsmith/firstboot/cut"
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
// were when it was made (lvm2's lib/label/label.h, lib/format_text/layout.h).
func pvSize(r io.ReaderAt) (int64, error) {
	id, area, err := pvLabel(r)
	if err != nil {
		return 0, err
	}
	text, err := pvText(r, area)
	if err != nil {
		return 0, err
	}
	_, own, _ := bytes.Cut(text, []byte(`id = "`+id+`"`))
	_, own, _ = bytes.Cut(own, []byte("dev_size = "))
	digits := len(own) - len(bytes.TrimLeft(own, "0123456789"))
	sectors, err := strconv.ParseInt(string(own[:digits]), 10, 50)
	if err != nil {
		return 0, errPV
	}
	return 512 * sectors, nil
}

// pvLabel finds in one of the first sectors the volume's id, as texts write it, and where its first metadata area is.
func pvLabel(r io.ReaderAt) (id string, area int64, err error) {
	head := make([]byte, 4*512)
	if _, err := r.ReadAt(head, 0); err != nil {
		return "", 0, err
	}
	for ; len(head) > 0; head = head[512:] {
		at := binary.LittleEndian.Uint32(head[20:])
		if string(head[:8]) != "LABELONE" || string(head[24:32]) != "LVM2 001" || at > 512-40 {
			continue
		}
		h := head[at:512]
		id = string(h[:6])
		for i := 6; i < 30; i += 4 {
			id += "-" + string(h[i:i+4])
		}
		id += string(h[30:32])
		areas := 0 // data areas end with a pair of zeros, then the metadata areas come
		for h = h[40:]; len(h) >= 16; h = h[16:] {
			offset := binary.LittleEndian.Uint64(h)
			if areas == 1 && offset > 0 && offset < 1<<50 {
				return id, int64(offset), nil
			}
			if offset == 0 {
				areas++
			}
		}
	}
	return "", 0, errPV
}

// pvText reads the current text of a metadata area, which is a ring behind a header of one sector.
func pvText(r io.ReaderAt, area int64) ([]byte, error) {
	h := make([]byte, 512)
	if _, err := r.ReadAt(h, area); err != nil {
		return nil, err
	}
	ring, at, size := binary.LittleEndian.Uint64(h[32:]), binary.LittleEndian.Uint64(h[40:]), binary.LittleEndian.Uint64(h[48:])
	if string(h[4:20]) != " LVM2 x[5A%r0N*>" || ring > 1<<50 || at < 512 || at >= ring || size > min(16<<20, ring-512) {
		return nil, errPV
	}
	text := make([]byte, size)
	first := min(size, ring-at)
	if _, err := r.ReadAt(text[:first], area+int64(at)); err != nil {
		return nil, err
	}
	_, err := r.ReadAt(text[first:], area+512)
	return text, err
}
