package disk

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"goldsmith/builder/disk/qcow2"
	"goldsmith/firstboot/report"
)

// The formats that can be opened, by the names that qemu gives their drivers. An OVA is a tar file with a VMDK inside.
const (
	formatRaw   = "raw"
	formatQcow2 = "qcow2"
	formatVMDK  = "vmdk"
	formatVHDX  = "vhdx"
	formatVDI   = "vdi"
	formatVPC   = "vpc" // what Microsoft calls VHD
)

// A layer is one file of an image: the image itself, or a file that it stands on.
type layer struct {
	Path   string
	Format string
	Member window // where the image is within the file; an OVA's disk is a part of it
	size   int64  // bytes of the virtual disk; 0: not known before qemu has opened it
}

// A window is a part of a file, all of it if Size is 0.
type window struct{ Offset, Size int64 }

// maxChain is how many files an image may stand on. Every one costs time on each read; 200 is qemu's own limit.
const maxChain = 200

// chain lists the files of an image, the image itself first. Format is that of the image, "" to find out.
//
// Nothing is followed blindly: an image that came from elsewhere may name any file of this host, or a network address,
// as its backing file, and whoever opens the image as root would hand it to the guest.
func chain(image, format string) ([]layer, error) {
	var list []layer
	seen := map[string]bool{}
	for name := image; name != ""; {
		l, backing, err := readLayer(name, format)
		if err != nil {
			return nil, err
		}
		if seen[l.Path] || len(list) >= maxChain {
			return nil, report.Faultf(report.Usage, "cannot open image %s: its backing files lead back to %s", image, l.Path)
		}
		seen[l.Path] = true
		list = append(list, l)
		if backing == nil {
			break
		}
		if name, err = backingPath(name, backing.Backing); err != nil {
			return nil, err
		}
		if format = backing.BackingFormat; format == "" {
			return nil, report.Faultf(report.Usage, "cannot open image %s: it does not say of which format its backing file %s is", l.Path, name).
				WithHint("qemu-img rebase -u -F FORMAT -b %s %s", name, l.Path)
		}
	}
	return list, nil
}

// backingPath is where the backing file of image is. Addresses (nbd://, json:, fat:) are refused.
func backingPath(image, backing string) (string, error) {
	before, _, found := strings.Cut(backing, ":")
	if found && !strings.Contains(before, "/") {
		return "", report.Faultf(report.Usage, "cannot open image %s: its backing file %q is not a plain file name", image, backing)
	}
	if filepath.IsAbs(backing) {
		return filepath.Clean(backing), nil
	}
	return filepath.Join(filepath.Dir(image), backing), nil // as qemu does: beside the name that was given, also if it is a link
}

// readLayer looks at one file. The header is returned if the file stands on another.
func readLayer(name, format string) (layer, *qcow2.Header, error) {
	fail := func(err error) (layer, *qcow2.Header, error) {
		return layer{}, nil, report.Faultf(report.Usage, "cannot open image %s: %w", name, err)
	}
	// The real path: an absolute link would be resolved here, and not where qemu-storage-daemon has put its mount.
	abs, err := realPath(name)
	if err != nil {
		return fail(err)
	}
	st, err := os.Stat(abs)
	if err != nil {
		return fail(err)
	}
	if !st.Mode().IsRegular() {
		return fail(errors.New("it is no regular file"))
	}
	f, err := os.Open(abs)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	l := layer{Path: abs, Format: format}
	if err := l.detect(f, st.Size()); err != nil {
		return fail(err)
	}
	if l.Format != formatQcow2 {
		return l, nil, nil
	}
	h, err := qcow2.Read(f)
	if err != nil {
		return fail(err)
	}
	if err := usable(h); err != nil {
		return fail(err)
	}
	l.size = h.Size
	if h.Backing == "" {
		h = nil
	}
	return l, h, nil
}

// realPath is the absolute path of an existing file, without links.
func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	abs, err = filepath.EvalSymlinks(abs)
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err // the caller names the file
	}
	return abs, err
}

// usable refuses what cannot be read safely, or at all.
func usable(h *qcow2.Header) error {
	switch {
	case h.Encrypted:
		return errors.New("it is encrypted")
	case h.Features&qcow2.Corrupt != 0:
		return errors.New("it is marked corrupt; `qemu-img check -r all` may repair a copy of it")
	case h.Features&qcow2.ExternalData != 0:
		return errors.New("its data is in another file, which it may choose freely")
	}
	return nil
}

// detect finds the format, unless it is given, and what belongs to it.
func (l *layer) detect(f *os.File, size int64) error {
	if l.Format == "" {
		l.Format = sniff(f, size)
	}
	switch l.Format {
	case formatRaw:
		if size < sectorSize {
			return fmt.Errorf("%d bytes are no disk", size)
		}
		l.size = size
	case "ova":
		l.Format = formatVMDK
		return l.insideOVA(f)
	case formatVMDK:
		return checkVMDK(f, filepath.Dir(l.Path))
	case formatQcow2, formatVHDX, formatVDI, formatVPC:
	default:
		return fmt.Errorf("format %q is not supported", l.Format)
	}
	return nil
}

// sniff recognises an image by what it starts with, a fixed VHD by what it ends with, and takes all else for raw.
func sniff(f io.ReaderAt, size int64) string {
	head := make([]byte, 512)
	n, _ := f.ReadAt(head, 0) // a short file has no magic
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte(qcow2.Magic)):
		return formatQcow2
	case bytes.HasPrefix(head, []byte("KDMV")), bytes.HasPrefix(head, []byte("# Disk DescriptorFile")):
		return formatVMDK
	case bytes.HasPrefix(head, []byte("vhdxfile")):
		return formatVHDX
	case bytes.HasPrefix(head, []byte("conectix")):
		return formatVPC
	case len(head) > 0x44 && binary.LittleEndian.Uint32(head[0x40:]) == 0xbeda107f:
		return formatVDI
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return "ova"
	}
	tail := make([]byte, 8)
	if size >= 512 {
		if _, err := f.ReadAt(tail, size-512); err == nil && string(tail) == "conectix" {
			return formatVPC
		}
	}
	return formatRaw
}

// insideOVA finds the disk in an OVA. Several disks are refused: which one to open would be a guess.
func (l *layer) insideOVA(f *os.File) error {
	t := tar.NewReader(f)
	var found string
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("it is no OVA: %w", err)
		}
		if !strings.HasSuffix(h.Name, ".vmdk") {
			continue
		}
		if found != "" {
			return fmt.Errorf("the OVA has several disks, %q and %q", found, h.Name)
		}
		found = h.Name
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		l.Member = window{at, h.Size}
	}
	if found == "" {
		return errors.New("the OVA has no disk")
	}
	return checkVMDK(io.NewSectionReader(f, l.Member.Offset, l.Member.Size), "")
}

// checkVMDK refuses a VMDK that leads to files elsewhere. A descriptor is text that names its extents; dir is where it
// lies, "" if it cannot have extents of its own.
func checkVMDK(f io.ReaderAt, dir string) error {
	head := make([]byte, 64<<10)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	text := head
	if bytes.HasPrefix(head, []byte("KDMV")) {
		if text, err = embeddedDescriptor(f, head); err != nil {
			return err
		}
		dir = ""
	}
	s := bufio.NewScanner(bytes.NewReader(text))
	s.Buffer(nil, len(head)+1)
	for s.Scan() {
		if err := checkVMDKLine(strings.TrimSpace(strings.TrimRight(s.Text(), "\x00")), dir); err != nil {
			return err
		}
	}
	return nil
}

// embeddedDescriptor returns the text inside a sparse VMDK (sectors 28 and 36 of its header say where).
func embeddedDescriptor(f io.ReaderAt, head []byte) ([]byte, error) {
	if len(head) < 512 {
		return nil, errors.New("the header of the VMDK is cut off")
	}
	if binary.LittleEndian.Uint64(head[12:]) == 0 {
		return nil, errors.New("the VMDK has no data of its own")
	}
	at, size := binary.LittleEndian.Uint64(head[28:])*sectorSize, binary.LittleEndian.Uint64(head[36:])*sectorSize
	if at > maxSizeVMDK || size > mib {
		return nil, errors.New("the descriptor of the VMDK is out of bounds")
	}
	text := make([]byte, size)
	n, err := f.ReadAt(text, int64(at))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return text[:n], nil
}

const maxSizeVMDK = 1 << 50

// checkVMDKLine refuses extents in other directories and parents.
func checkVMDKLine(line, dir string) error {
	if value, ok := strings.CutPrefix(line, "parentCID="); ok && !strings.EqualFold(value, "ffffffff") {
		return errors.New("the VMDK is a snapshot of another one; only a whole one can be opened")
	}
	access, _, _ := strings.Cut(line, " ")
	if access != "RW" && access != "RDONLY" || dir == "" {
		return nil
	}
	_, quoted, ok := strings.Cut(line, `"`)
	name, _, ok2 := strings.Cut(quoted, `"`)
	if !ok || !ok2 {
		return nil // no file: an extent of zeros
	}
	if name != filepath.Base(name) || name == ".." {
		return fmt.Errorf("the VMDK has an extent in another directory: %q", name)
	}
	if st, err := os.Lstat(filepath.Join(dir, name)); err != nil || !st.Mode().IsRegular() {
		return fmt.Errorf("the extent %q of the VMDK is no regular file", name)
	}
	return nil
}
