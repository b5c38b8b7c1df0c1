package audit

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip" // a third faster than the standard one, and man pages are most of what is packed
	"github.com/klauspost/compress/zstd"
)

// unpack recognises a packed file by its first bytes. The reader is nil where it is none, and where it is one that is not
// looked into.
func unpack(f io.ReaderAt) (kind string, r io.ReadCloser, err error) {
	head := make([]byte, 6)
	if n, _ := f.ReadAt(head, 0); n < 4 {
		return "", nil, nil // shorter than any
	}
	start := int64(0)
	if bytes.Equal(head, []byte("070701")) {
		if start = afterCPIO(f); start == 0 {
			return "", nil, nil
		}
		if n, _ := f.ReadAt(head, start); n < 4 {
			return "", nil, nil
		}
	}
	rest := io.NewSectionReader(f, start, 1<<62)
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")):
		z, err := gzip.NewReader(rest)
		if err != nil {
			return "", nil, nil // it only looks like one
		}
		return "gzip", z, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return "bzip2", io.NopCloser(bzip2.NewReader(rest)), nil
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(rest, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return "", nil, fmt.Errorf("cannot unpack: %w", err)
		}
		return "zstd", z.IOReadCloser(), nil
	}
	return unopened(head), nil, nil
}

// unopened names the formats that are not looked into: unpacking them takes many times longer than all the rest.
func unopened(head []byte) string {
	for kind, magic := range map[string]string{"xz": "\xfd7zXZ\x00", "lz4": "\x04\x22\x4d\x18", "zip": "PK\x03\x04", "lzip": "LZIP"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return kind
		}
	}
	return ""
}

// maxEarly bounds what stands before the packed part of an initramfs: microcode, as a plain archive.
const maxEarly = 32 << 20

// afterCPIO finds what follows a cpio archive and the zeros behind it, as in an initramfs; 0 if nothing does.
func afterCPIO(f io.ReaderAt) int64 {
	trailer := []byte("TRAILER!!!\x00")
	buf := make([]byte, 1<<20)
	for at, found := int64(0), false; at < maxEarly; {
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return 0
		}
		chunk := buf[:n]
		if !found {
			i := bytes.Index(chunk, trailer)
			if i < 0 {
				at += int64(max(n-len(trailer), 1))
				continue
			}
			found, at = true, at+int64(i+len(trailer))
			continue
		}
		zeros := n - len(bytes.TrimLeft(chunk, "\x00"))
		if at += int64(zeros); zeros < n {
			return at
		}
	}
	return 0
}
