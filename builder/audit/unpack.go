package audit

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip" // a third faster than the standard one, and man pages are most of what is packed
	"github.com/klauspost/compress/zip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/therootcompany/xz" // bounds its memory and knows branch filters, which ulikunitz/xz does not
)

// maxDictionary bounds the memory that one packed file asks for, in bytes: what "xz -9" and "zstd -19" need.
const maxDictionary = 64 << 20

// An unpacker has what one packed file after the other needs: most are small, and buffers are what they cost.
type unpacker struct {
	packed *bufio.Reader
	gzip   gzip.Reader
	ahead  ahead
}

const packedBuffer = 64 << 10

func newUnpacker() *unpacker {
	return &unpacker{packed: bufio.NewReaderSize(nil, packedBuffer), ahead: ahead{buf: make([]byte, packedBuffer)}}
}

// An ahead reads ahead of small reads at rising places.
type ahead struct {
	from io.ReaderAt
	buf  []byte
	at   int64 // of buf in from
	have int   // bytes in buf
}

// ReadAt implements io.ReaderAt.
func (w *ahead) ReadAt(p []byte, at int64) (int, error) {
	if len(p) >= len(w.buf) {
		return w.from.ReadAt(p, at)
	}
	if at < w.at || at+int64(len(p)) > w.at+int64(w.have) {
		n, err := w.from.ReadAt(w.buf, at)
		if w.at, w.have = at, n; n < len(p) {
			return copy(p, w.buf[:n]), err
		}
	}
	return copy(p, w.buf[at-w.at:w.have]), nil
}

// A stream is one thing that a packed file unpacks to.
type stream struct {
	kind string // gzip, xz, ...; "zip NAME" for a member of an archive
	open func() (io.ReadCloser, error)
}

// unpack recognises a packed file by its first bytes, and returns what it unpacks to: one stream, or one for each member of an
// archive. There is none where it is no packed file, and where it is one that is not looked into, which closed names. They are
// read one after the other, before the next file is unpacked.
func (u *unpacker) unpack(f *os.File) (streams []stream, closed string, err error) {
	head := make([]byte, 6)
	if n, _ := f.ReadAt(head, 0); n < 4 {
		return nil, "", nil // shorter than any
	}
	start := int64(0)
	if bytes.Equal(head, []byte("070701")) {
		if start = afterCPIO(f); start == 0 {
			return nil, "", nil
		}
		clear(head)
		if n, _ := f.ReadAt(head, start); n < 4 {
			return nil, "", nil
		}
	}
	if bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return u.members(f)
	}
	for _, p := range packers {
		if !bytes.HasPrefix(head, []byte(p.magic)) {
			continue
		}
		if p.open == nil {
			return nil, p.kind, nil
		}
		u.packed.Reset(io.NewSectionReader(f, start, 1<<62))
		r, err := p.open(u)
		switch {
		case err != nil && p.weak:
			return nil, "", nil // it only looks like one
		case err != nil:
			return nil, "", fmt.Errorf("cannot unpack: %w", err)
		}
		return []stream{{p.kind, func() (io.ReadCloser, error) { return r, nil }}}, "", nil
	}
	return nil, "", nil
}

// packers are the formats of single packed files; open is nil for one that is not looked into. A weak magic also begins files
// of other kinds.
var packers = []struct {
	kind, magic string
	weak        bool
	open        func(*unpacker) (io.ReadCloser, error)
}{
	{"gzip", "\x1f\x8b\x08", true, func(u *unpacker) (io.ReadCloser, error) { return &u.gzip, u.gzip.Reset(u.packed) }},
	{"bzip2", "BZh", true, func(u *unpacker) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(u.packed)), nil }},
	{"zstd", "\x28\xb5\x2f\xfd", false, func(u *unpacker) (io.ReadCloser, error) {
		z, err := zstd.NewReader(u.packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDictionary), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}},
	{"xz", "\xfd7zXZ\x00", false, func(u *unpacker) (io.ReadCloser, error) {
		z, err := xz.NewReader(u.packed, maxDictionary)
		return io.NopCloser(z), err
	}},
	{"lz4", "\x04\x22\x4d\x18", false, openLZ4},
	{"lz4", "\x02\x21\x4c\x18", false, openLZ4}, // the older format, of an initramfs
	{"lzip", "LZIP", true, nil},
}

func openLZ4(u *unpacker) (io.ReadCloser, error) { return io.NopCloser(lz4.NewReader(u.packed)), nil }

// members opens a zip archive, such as a .jar. One without a readable directory is not looked into.
func (u *unpacker) members(f *os.File) (streams []stream, closed string, err error) {
	st, err := f.Stat()
	if err != nil {
		return nil, "", err
	}
	u.ahead.from, u.ahead.have = f, 0
	archive, err := zip.NewReader(&u.ahead, st.Size())
	if err != nil {
		return nil, "zip", nil
	}
	for _, m := range archive.File {
		if !m.FileInfo().Mode().IsRegular() {
			continue
		}
		streams = append(streams, stream{"zip " + m.Name, m.Open})
	}
	return streams, "", nil
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
