package disk

import (
	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/report"
)

// OverlayOptions may change what an overlay is.
type OverlayOptions struct {
	Size int64 // bytes of the virtual disk; 0: that of the backing image. A disk cannot become smaller
}

// CreateOverlay makes path a qcow2 file that holds only what will differ from the image backing, which must not be
// changed as long as the overlay is used. It takes a fraction of a millisecond; the file must not exist.
func CreateOverlay(path, backing string, o OverlayOptions) error {
	layers, err := chain(backing, "")
	if err != nil {
		return err
	}
	base := layers[0]
	switch {
	case base.Format != formatQcow2 && base.Format != formatRaw:
		return report.Faultf(report.Usage, "cannot make overlay of %s: only qcow2 and raw can be stood on", backing).
			WithHint("qemu-img convert -O qcow2 %s %s.qcow2", backing, backing)
	case o.Size != 0 && o.Size < base.size:
		return report.Faultf(report.Usage, "cannot make overlay of %s: %s is less than the %s that it has", backing,
			Bytes(o.Size), Bytes(base.size))
	}
	size := max(o.Size, base.size)
	err = qcow2.Overlay{Backing: base.Path, BackingFormat: base.Format, Size: (size + sectorSize - 1) &^ (sectorSize - 1)}.Create(path)
	if err != nil {
		return report.Faultf(report.Usage, "%w", err)
	}
	return nil
}

// Files lists the files of an image: the image itself, and all that it stands on.
func Files(image string) ([]string, error) {
	layers, err := chain(image, "")
	if err != nil {
		return nil, err
	}
	out := make([]string, len(layers))
	for i, l := range layers {
		out[i] = l.Path
	}
	return out, nil
}
