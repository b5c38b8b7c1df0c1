package disk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"goldsmith/builder/disk/kernel"
	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/report"
)

// DeriveOptions say how an image is made of another one.
type DeriveOptions struct {
	// Copy makes an image that stands alone. Without it the result is an overlay, as long as the original is one that can
	// be stood on (qcow2 or raw); the original must not be changed or moved then.
	Copy     bool
	Overlay  bool // refuse rather than copy
	Progress ProgressFunc
}

// A Derived is an image under a temporary name, to be changed before anybody sees it. One of Commit and Discard ends it;
// Discard after Commit does nothing.
type Derived struct {
	Path   string // the temporary name, in the folder of the final one
	Format string
	Method string // "overlay", "copy" or "conversion"
	out    *output
}

// Derive makes an image that has the content of another one. The original is only read. The name out must be free.
func Derive(ctx context.Context, image, out string, o DeriveOptions) (*Derived, error) {
	layers, err := chain(image, "")
	if err != nil {
		return nil, err
	}
	if err := unlocked(layers[0]); err != nil {
		return nil, err
	}
	to, err := newOutput(out, false)
	if err != nil {
		return nil, err
	}
	d := &Derived{Path: to.file.Name(), out: to, Format: formatQcow2}
	if err := d.fill(ctx, layers, o); err != nil {
		to.discard()
		return nil, err
	}
	return d, nil
}

// unlocked refuses an image that a machine is writing at this moment.
func unlocked(l layer) error {
	f, err := os.Open(l.Path)
	if err != nil {
		return report.Faultf(report.Usage, "cannot open image: %w", err)
	}
	defer f.Close()
	return lockLikeQEMU(f, true)
}

func (d *Derived) fill(ctx context.Context, layers []layer, o DeriveOptions) error {
	if err := d.out.file.Truncate(0); err != nil { // of what a killed run has left
		return fmt.Errorf("cannot write image %s: %w", d.out.name, err)
	}
	top, plain := layers[0], layers[0].Format == formatQcow2 || layers[0].Format == formatRaw
	switch {
	case o.Overlay && !plain:
		return report.Faultf(report.Usage, "cannot make overlay of %s: only qcow2 and raw can be stood on", top.Path).WithHint("--copy")
	case plain && !o.Copy:
		d.Method = "overlay"
		size := (top.size + sectorSize - 1) &^ (sectorSize - 1)
		return qcow2.Overlay{Backing: top.Path, BackingFormat: top.Format, Size: size}.Write(d.out.file)
	case plain && len(layers) == 1:
		d.Method, d.Format = "copy", top.Format
		return d.copy(ctx, top)
	}
	d.Method = "conversion"
	return d.convert(ctx, layers, o.Progress)
}

// copy makes the same file, of shared blocks where the file system can.
func (d *Derived) copy(ctx context.Context, l layer) error {
	src, err := os.Open(l.Path)
	if err != nil {
		return report.Faultf(report.Usage, "cannot copy image: %w", err)
	}
	defer src.Close()
	st, err := src.Stat()
	if err != nil {
		return fmt.Errorf("cannot copy image: %w", err)
	}
	err = kernel.CopyFile(ctx, d.out.file, src, st.Size(), d.room)
	if err != nil {
		return fmt.Errorf("cannot copy image %s: %w", l.Path, err)
	}
	return nil
}

// convert flattens a chain, or reads a foreign format.
func (d *Derived) convert(ctx context.Context, layers []layer, tell ProgressFunc) error {
	if err := d.room(allocated(layers)); err != nil {
		return err
	}
	spec, err := json.Marshal(nested(layers))
	if err != nil {
		return fmt.Errorf("cannot describe image: %w", err)
	}
	return convert(ctx, source{name: "json:" + string(spec)}, d.Path, ConvertOptions{Format: formatQcow2, Progress: tell})
}

func (d *Derived) room(need int64) error { return CheckRoom(filepath.Dir(d.out.name), need) }

// Commit gives the image its name, on the disk.
func (d *Derived) Commit() error { return d.out.commit() }

// Discard removes the image unless it was committed.
func (d *Derived) Discard() { d.out.discard() }
