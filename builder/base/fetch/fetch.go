package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// A Fetcher has what a fetch needs. The zero values of Client, Tries and Pause are good ones.
type Fetcher struct {
	Dir      string                  // the cache; images are kept by digest
	Config   Config                  // mirrors, local folders, pins
	Client   *http.Client            // nil for one that gives up on a silent server
	Tries    int                     // attempts at each source, each going on where the last one stopped; 0 is 5
	Pause    time.Duration           // before the second attempt; doubles with each one
	Silence  time.Duration           // a server that says nothing for so long is given up; 0 is a minute
	Progress func(done, total int64) // may be nil; total is -1 when the server does not say
	Log      io.Writer               // may be nil; one line for every detour

	once sync.Once
	own  *http.Client
}

// An Image is a verified file of the cache.
type Image struct {
	Path   string `json:"path"`
	Digest Digest `json:"digest"`
	Source string `json:"source"` // cache, or where it came from
}

// ErrCorrupt is returned, wrapped, when a source brought something else than what the digest says.
var ErrCorrupt = errors.New("the digest is not that of the image")

// Fetch returns the image, from the cache where it is there. What it returns was verified in this call, always: also the
// cache is read again, for a disk can rot and a file can be edited. When ctx ends, the part that has come stays, and the next
// call goes on from there.
func (f *Fetcher) Fetch(ctx context.Context, e *Entry) (*Image, error) {
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", e.Name, err)
	}
	digest, err := f.digest(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", e.Name, err)
	}
	unlock, err := f.lock(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", e.Name, err)
	}
	defer unlock()
	img, err := f.bring(ctx, e, digest)
	if err == nil {
		err = f.remember(e, digest)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot fetch %s: %w", e.Name, err)
	}
	return img, nil
}

// remember notes under which digest an image was fetched, so that it is found again when the vendor cannot be asked.
func (f *Fetcher) remember(e *Entry, d Digest) error {
	return renameio.WriteFile(filepath.Join(f.Dir, e.Name+".digest"), []byte(string(d)+"\n"), 0o644)
}

func (f *Fetcher) remembered(e *Entry) (Digest, bool) {
	data, err := os.ReadFile(filepath.Join(f.Dir, e.Name+".digest"))
	d := Digest(strings.TrimSpace(string(data)))
	return d, err == nil && d.Valid()
}

// digest decides what the image must be: a pin of the bench, a pin of the catalogue, or the vendor's checksum file.
func (f *Fetcher) digest(ctx context.Context, e *Entry) (Digest, error) {
	if d := f.Config.Digests[e.Name]; d != "" {
		return d, nil
	}
	if e.Digest != "" {
		return e.Digest, nil
	}
	data, err := f.sums(ctx, e)
	if errors.Is(err, ErrSignature) {
		return "", fmt.Errorf("cannot use the vendor's checksums %s: %w", e.Sums.URL, err)
	}
	if err != nil {
		if d, ok := f.remembered(e); ok && ctx.Err() == nil {
			f.logf("cannot read the vendor's checksums (%v), taking the image that was fetched last", err)
			return d, nil
		}
		return "", fmt.Errorf("cannot read the vendor's checksums: %w", err)
	}
	d, err := ParseSums(data, e.Sums.Algorithm, e.file())
	if err != nil {
		return "", fmt.Errorf("cannot use the vendor's checksums %s: %w", e.Sums.URL, err)
	}
	return d, nil
}

// sums reads the vendor's checksum file, and believes it where it is signed as it must be.
func (f *Fetcher) sums(ctx context.Context, e *Entry) ([]byte, error) {
	data, err := f.small(ctx, e.Sums.URL)
	if err == nil && e.Sums.Signature != "" {
		err = f.signed(ctx, e, data)
	}
	return data, err
}

// name is the file name of a digest in the cache.
func name(d Digest) string { return strings.ReplaceAll(string(d), ":", "-") }

// bring finds the image in the cache, or gets it from the first source that has it.
func (f *Fetcher) bring(ctx context.Context, e *Entry, digest Digest) (*Image, error) {
	final := filepath.Join(f.Dir, name(digest)+"."+e.Format)
	err := verify(ctx, final, digest)
	switch {
	case err == nil:
		return &Image{final, digest, "cache"}, nil
	case errors.Is(err, ErrCorrupt):
		f.logf("%s in the cache is damaged and is fetched again", filepath.Base(final))
		if err := os.Remove(final); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	var bad []error
	for _, dir := range f.Config.Local {
		path := filepath.Join(dir, e.file())
		err := f.local(ctx, path, final, digest)
		if err == nil {
			return &Image{final, digest, path}, nil
		}
		bad = f.detour(bad, path, err)
	}
	for _, url := range f.Config.sources(e) {
		err := f.download(ctx, url, final, digest)
		if err == nil {
			return &Image{final, digest, url}, nil
		}
		bad = f.detour(bad, url, err)
		if ctx.Err() != nil || errors.Is(err, errRoom) {
			break
		}
	}
	return nil, errors.Join(bad...)
}

// detour notes why a source did not serve. That a folder does not have an image is no news.
func (f *Fetcher) detour(bad []error, source string, err error) []error {
	if errors.Is(err, fs.ErrNotExist) {
		return bad
	}
	f.logf("%s: %v", source, err)
	return append(bad, fmt.Errorf("%s: %w", source, err))
}

func (f *Fetcher) logf(format string, args ...any) {
	if f.Log != nil {
		fmt.Fprintf(f.Log, format+"\n", args...)
	}
}

// local copies an image of a folder into the cache. It is verified as it stands in the cache, where nobody else writes.
func (f *Fetcher) local(ctx context.Context, path, final string, digest Digest) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	temp, err := os.CreateTemp(f.Dir, ".local-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = io.Copy(temp, reader{ctx, in})
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return settle(ctx, temp.Name(), final, digest)
}

// settle gives a complete file its name in the cache, if it is what it must be.
func settle(ctx context.Context, temp, final string, digest Digest) error {
	if err := verify(ctx, temp, digest); err != nil {
		return err
	}
	file, err := os.OpenFile(temp, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Chmod(0o444), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, final); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(final))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// verify reads a file and compares its digest.
func verify(ctx context.Context, path string, digest Digest) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	algorithm, sum := digest.parts()
	h := newHash(algorithm)
	if h == nil {
		return fmt.Errorf("cannot verify with %q", digest)
	}
	if _, err := io.Copy(h, reader{ctx, file}); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != sum {
		return fmt.Errorf("%w: it is %s:%s, and must be %s", ErrCorrupt, algorithm, got, digest)
	}
	return nil
}

// reader stops reading when ctx ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// lock keeps two benches from writing the same part. The file stays: to remove it would let a third one in.
func (f *Fetcher) lock(ctx context.Context, digest Digest) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(f.Dir, name(digest)+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(err, file.Close())
		}
		if first {
			f.logf("waiting for another goldsmith that fetches the same image")
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, errors.Join(err, file.Close())
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
