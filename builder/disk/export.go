package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"goldsmith/builder/disk/kernel"
	"goldsmith/firstboot/report"
)

// ExportOptions says what Export shall write.
type ExportOptions struct {
	Out       string
	Format    string // qcow2, raw, vmdk, vhdx, ova
	Zlib      bool   // qcow2 for a qemu older than 5.1, and for what else knows only zlib
	Fast      bool   // qcow2 without compression
	KeepFree  bool   // do not look for blocks that the file systems do not use
	Overwrite bool
	Machine   Machine // what the OVF of an OVA asks for
	Progress  ProgressFunc
}

// Exported is what Export has written.
type Exported struct {
	Path     string `json:"path"`
	Format   string `json:"format"`
	Virtual  int64  `json:"virtual_size"` // bytes
	FileSize int64  `json:"file_size"`    // bytes
	SHA256   string `json:"sha256"`
	Dropped  int64  `json:"dropped"`           // bytes that no file system uses and that were left out
	Skipped  string `json:"skipped,omitempty"` // why nothing was dropped
}

// ExportFormats are the formats that Export writes.
func ExportFormats() []string { return []string{formatQcow2, formatRaw, formatVMDK, formatVHDX, "ova"} }

// Export writes an image in another format: sparse, compressed where the format can, without the blocks that its file
// systems do not use. The image is not changed.
func Export(ctx context.Context, image string, o ExportOptions) (Exported, error) {
	if !slices.Contains(ExportFormats(), o.Format) {
		return Exported{}, report.Faultf(report.Usage, "cannot export image: format %q is not one of %s", o.Format,
			strings.Join(ExportFormats(), ", "))
	}
	layers, err := chain(image, "")
	if err != nil {
		return Exported{}, err
	}
	virtual, err := virtualSize(ctx, layers[0])
	if err != nil {
		return Exported{}, err
	}
	out, err := newOutput(o.Out, o.Overwrite)
	if err != nil {
		return Exported{}, err
	}
	defer out.discard()
	if err := CheckRoom(filepath.Dir(o.Out), allocated(layers)); err != nil {
		return Exported{}, err
	}
	e := Exported{Path: o.Out, Format: o.Format, Virtual: virtual}
	if err := e.write(ctx, layers, out, o); err != nil {
		return Exported{}, err
	}
	o.Progress.tell("digest", 0, 0)
	if e.FileSize, e.SHA256, err = digest(ctx, out.file.Name()); err != nil {
		return Exported{}, fmt.Errorf("cannot digest %s: %w", o.Out, err)
	}
	return e, out.commit()
}

// allocated is how many bytes the files of an image take: no export is much larger.
func allocated(layers []layer) int64 {
	var sum int64
	for _, l := range layers {
		if st, err := os.Stat(l.Path); err == nil {
			sum += st.Size()
			if l.Format == formatRaw {
				sum -= max(0, st.Size()-blocks(st))
			}
		}
	}
	return sum
}

// write fills the output, from the trimmed image if it can be trimmed.
func (e *Exported) write(ctx context.Context, layers []layer, out *output, o ExportOptions) error {
	if !o.KeepFree {
		i, err := OpenDisk(ctx, layers[0].Path, Options{Throwaway: true, Format: layers[0].Format})
		if err != nil && layers[0].Member.Size == 0 {
			return err
		}
		if err == nil {
			e.Dropped, e.Skipped = i.dropFree(ctx, o.Progress)
			if e.Dropped > 0 {
				return errors.Join(e.convert(ctx, source{file: i.access.file, format: formatRaw}, out, o), i.Close())
			}
			if err := i.Close(); err != nil {
				return err
			}
		}
	}
	spec, err := json.Marshal(nested(layers))
	if err != nil {
		return fmt.Errorf("cannot describe image: %w", err)
	}
	return e.convert(ctx, source{name: "json:" + string(spec)}, out, o)
}

// nested describes an image with all the files that it stands on in one value, for qemu-img.
func nested(layers []layer) map[string]any {
	n := layers[0].node(true, "")
	if len(layers) > 1 {
		n["backing"] = nested(layers[1:])
	}
	return n
}

// dropFree trims every file system that it can mount, in the throwaway overlay, and returns how many bytes that were.
func (i *Image) dropFree(ctx context.Context, tell ProgressFunc) (int64, string) {
	var sum int64
	var why []string
	for _, v := range i.Volumes {
		if ctx.Err() != nil || !canOpen(v.FS) {
			continue
		}
		tell.tell("drop free blocks of "+v.Name, 0, 0)
		n, err := i.trim(v)
		if err != nil {
			why = append(why, err.Error())
		}
		sum += n
	}
	if sum == 0 && len(why) == 0 {
		why = []string{"no file system that can be opened"}
	}
	return sum, strings.Join(why, "; ")
}

func (i *Image) trim(v Volume) (int64, error) {
	if err := i.canMount(v); err != nil {
		return 0, err
	}
	m, err := i.mount(v, false, "")
	if err != nil {
		return 0, err
	}
	n, err := m.mount.Trim()
	return n, errors.Join(err, m.close())
}

// convert writes one format.
func (e *Exported) convert(ctx context.Context, src source, out *output, o ExportOptions) error {
	c := ConvertOptions{Format: o.Format, Progress: o.Progress}
	switch o.Format {
	case formatQcow2:
		c.Compress, c.Zlib = !o.Fast, o.Zlib
	case formatVMDK:
		c.Options = []string{"subformat=streamOptimized"}
	case formatVHDX:
		c.Options = []string{"subformat=dynamic"}
	case "ova":
		return e.writeOVA(ctx, src, out, o)
	}
	return convert(ctx, src, out.file.Name(), c)
}

// Import makes a qcow2 of an image of any format that can be read, with all that it stands on.
func Import(ctx context.Context, image, out string, overwrite bool, tell ProgressFunc) (Exported, error) {
	return Export(ctx, image, ExportOptions{Out: out, Format: formatQcow2, Fast: true, KeepFree: true, Overwrite: overwrite, Progress: tell})
}

// Copy makes out a copy of the file image that shares its blocks where the file system can, and is as sparse where not.
func Copy(ctx context.Context, image, out string, overwrite bool) error {
	src, err := os.Open(image)
	if err != nil {
		return report.Faultf(report.Usage, "cannot copy image: %w", err)
	}
	defer src.Close()
	if err := lockLikeQEMU(src, true); err != nil {
		return err
	}
	st, err := src.Stat()
	if err != nil {
		return fmt.Errorf("cannot copy image: %w", err)
	}
	o, err := newOutput(out, overwrite)
	if err != nil {
		return err
	}
	defer o.discard()
	if err := kernel.CopyFile(ctx, o.file, src, st.Size(), func(need int64) error { return CheckRoom(filepath.Dir(out), need) }); err != nil {
		return fmt.Errorf("cannot copy image %s: %w", image, err)
	}
	return o.commit()
}
