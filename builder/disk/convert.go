package disk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"goldsmith/firstboot/report"
)

// ConvertOptions says what a conversion shall write.
type ConvertOptions struct {
	Format   string // as qemu-img names it: qcow2, raw, vmdk, vhdx
	Compress bool
	Zlib     bool     // compress qcow2 by zlib, for a qemu older than 5.1; zstd is 3.6 times faster and packs better
	Options  []string // further "name=value" for qemu-img -o
	Progress ProgressFunc
}

// A source is what is converted: a file by name, or one that is open and may have no name.
type source struct {
	name   string
	file   *os.File
	format string // "" if the name is a "json:" description, which says it
}

// childFile is the name under which a child finds the first of its ExtraFiles.
const childFile = "/proc/self/fd/3"

// convert runs qemu-img convert into the existing file out.
func convert(ctx context.Context, src source, out string, o ConvertOptions) error {
	cmd := exec.CommandContext(ctx, "qemu-img", convertArgs(src, out, o)...)
	if src.file != nil {
		cmd.ExtraFiles = []*os.File{src.file}
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("cannot convert: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return toolFault("qemu-img", "qemu-utils", err)
	}
	follow(stdout, o.Progress)
	if err := cmd.Wait(); err != nil {
		return errors.Join(ctx.Err(), fmt.Errorf("cannot convert to %s: qemu-img: %w: %s", o.Format, err, strings.TrimSpace(said.String())))
	}
	return nil
}

func convertArgs(src source, out string, o ConvertOptions) []string {
	args := []string{"convert", "-p", "-W", "-m", "4"}
	if src.format != "" {
		args = append(args, "-f", src.format)
	}
	args = append(args, "-O", o.Format)
	opts := o.Options
	if o.Compress {
		args = append(args, "-c")
		if o.Format == "qcow2" && !o.Zlib {
			opts = append(opts, "compression_type=zstd")
		}
	}
	if len(opts) > 0 {
		args = append(args, "-o", strings.Join(opts, ","))
	}
	name := src.name
	if src.file != nil {
		name = childFile
	}
	return append(args, name, out)
}

// follow reads qemu-img's "(12.34/100%)\r" to its end.
func follow(r io.Reader, tell ProgressFunc) {
	s := bufio.NewScanner(r)
	s.Split(splitProgress)
	for s.Scan() {
		text := strings.TrimSpace(s.Text())
		number, _, ok := strings.Cut(strings.TrimPrefix(text, "("), "/")
		percent, err := strconv.ParseFloat(number, 64)
		if ok && err == nil {
			tell.tell("convert", int64(percent*100), 100*100)
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long for the scanner must not block the child
}

// splitProgress cuts at carriage returns and at line ends.
func splitProgress(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// toolFault says that a program of the host is missing, and where it comes from.
func toolFault(tool, pkg string, err error) error {
	return report.Faultf(report.Usage, "cannot run %s: %w", tool, err).WithHint("apt-get install %s", pkg)
}

// An info is the part of `qemu-img info` that is of use here.
type info struct {
	VirtualSize int64 `json:"virtual-size"` // bytes
}

// imageInfo asks qemu for what our own readers do not know. The format is given, so nothing is guessed; and the format
// has no backing files, or they were checked before.
func imageInfo(ctx context.Context, l layer) (info, error) {
	spec, err := json.Marshal(l.node(true, ""))
	if err != nil {
		return info{}, fmt.Errorf("cannot describe image: %w", err)
	}
	out, err := exec.CommandContext(ctx, "qemu-img", "info", "--output=json", "json:"+string(spec)).Output()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return info{}, report.Faultf(report.Usage, "cannot open image %s: %s", l.Path, strings.TrimSpace(string(exit.Stderr)))
	case err != nil:
		return info{}, toolFault("qemu-img", "qemu-utils", err)
	}
	var i info
	if err := json.Unmarshal(out, &i); err != nil {
		return info{}, fmt.Errorf("cannot read what qemu-img says: %w", err)
	}
	return i, nil
}
