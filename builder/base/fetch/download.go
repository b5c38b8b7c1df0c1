package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxSums  = 4 << 20  // a checksum file is never larger
	freeRoom = 64 << 20 // what must be left on the disk behind a download
)

var (
	errRoom = errors.New("there is no room for it")
	// errGone: the server has no such file, and asking again will not change that.
	errGone   = errors.New("the server does not have it")
	errSilent = errors.New("the server fell silent")
)

// client is the caller's, or one that gives up on a server which does not answer.
func (f *Fetcher) client() *http.Client {
	if f.Client != nil {
		return f.Client
	}
	f.once.Do(func() {
		f.own = &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 20 * time.Second}).DialContext,
			TLSHandshakeTimeout:   20 * time.Second,
			ResponseHeaderTimeout: f.silence(),
			DisableCompression:    true, // a range of a compressed answer is not a range of the file
		}}
	})
	return f.own
}

func (f *Fetcher) silence() time.Duration {
	if f.Silence > 0 {
		return f.Silence
	}
	return time.Minute
}

// small reads a checksum file, over https to the end: a redirect to http would let anybody on the way write it.
func (f *Fetcher) small(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.silence())
	defer cancel()
	resp, err := f.get(ctx, url, 0)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %w (%s)", url, errGone, resp.Status)
	}
	if resp.Request.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s leads to %s, which is not https", url, resp.Request.URL)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxSums+1))
	if err == nil && len(data) > maxSums {
		err = fmt.Errorf("%s is larger than %d MiB", url, maxSums>>20)
	}
	return data, err
}

func (f *Fetcher) get(ctx context.Context, url string, from int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "goldsmith")
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	return f.client().Do(req)
}

// download brings url to final, by way of a part that survives an interruption. A part that was begun from another source, or
// from an older file, shows in the digest: then everything is fetched once more from the beginning.
func (f *Fetcher) download(ctx context.Context, url, final string, digest Digest) error {
	part := filepath.Join(f.Dir, name(digest)+".part")
	resumed, err := f.whole(ctx, url, part)
	if err != nil {
		return err
	}
	corrupt := settle(ctx, part, final, digest)
	if !errors.Is(corrupt, ErrCorrupt) {
		return corrupt
	}
	if err := os.Remove(part); err != nil || !resumed {
		return errors.Join(corrupt, err)
	}
	f.logf("%s: the resumed download is not the image, beginning anew", url)
	if _, err := f.whole(ctx, url, part); err != nil {
		return err
	}
	if err = settle(ctx, part, final, digest); errors.Is(err, ErrCorrupt) {
		err = errors.Join(err, os.Remove(part))
	}
	return err
}

// whole fills part to its end, in several attempts. Resumed says whether it held something before.
func (f *Fetcher) whole(ctx context.Context, url, part string) (resumed bool, err error) {
	tries := f.Tries
	if tries == 0 {
		tries = 5
	}
	for try := range tries {
		var began bool
		began, err = f.attempt(ctx, url, part)
		resumed = resumed || began
		if err == nil || ctx.Err() != nil || errors.Is(err, errGone) || errors.Is(err, errRoom) {
			return resumed, err
		}
		f.logf("%s: %v, attempt %d of %d", url, err, try+1, tries)
		if e := pause(ctx, f.Pause<<try); e != nil {
			return resumed, e
		}
	}
	return resumed, err
}

// attempt asks once for what is missing. Began says whether it went on behind an earlier part.
func (f *Fetcher) attempt(ctx context.Context, url, part string) (began bool, err error) {
	file, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSilent) {
			err = cause
		}
	}()
	resp, err := f.get(ctx, url, have)
	if err != nil {
		return have > 0, err
	}
	defer resp.Body.Close()
	switch at, ok := start(resp, have); {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return true, nil // it is complete, or the digest will say that it is not
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusGone, resp.StatusCode == http.StatusForbidden:
		return have > 0, fmt.Errorf("%w (%s)", errGone, resp.Status)
	case !ok:
		return have > 0, fmt.Errorf("the server answers %s", resp.Status)
	case at != have:
		have = 0
	}
	return have > 0, f.fill(cancel, file, have, resp)
}

// start tells which byte the answer begins with.
func start(resp *http.Response, asked int64) (at int64, ok bool) {
	switch resp.StatusCode {
	case http.StatusOK:
		return 0, true
	case http.StatusPartialContent:
		var n int64
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-", &n)
		return n, err == nil && n == asked
	}
	return 0, false
}

// fill writes the answer behind the first have bytes, unless there is no room for it, and gives up on a silent server.
func (f *Fetcher) fill(cancel context.CancelCauseFunc, file *os.File, have int64, resp *http.Response) error {
	if err := file.Truncate(have); err != nil {
		return err
	}
	if _, err := file.Seek(have, io.SeekStart); err != nil {
		return err
	}
	total := int64(-1)
	if resp.ContentLength >= 0 {
		total = have + resp.ContentLength
		if err := room(f.Dir, resp.ContentLength); err != nil {
			return err
		}
	}
	watch := time.AfterFunc(f.silence(), func() { cancel(errSilent) })
	defer watch.Stop()
	n, err := io.Copy(file, &meter{resp.Body, have, total, func() { watch.Reset(f.silence()) }, f.Progress})
	if err != nil {
		return fmt.Errorf("the download stopped after %d MiB: %w", (have+n)>>20, err)
	}
	return nil
}

// room refuses a download that would fill the disk.
func room(dir string, need int64) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	if free := int64(s.Bavail) * s.Bsize; free < need+freeRoom {
		return fmt.Errorf("%w: it needs %d MiB, and %s has %d MiB", errRoom, need>>20, dir, free>>20)
	}
	return nil
}

// meter tells how far a download is, and keeps the watch from barking.
type meter struct {
	io.Reader
	done, total int64
	alive       func()
	tell        func(done, total int64)
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.alive()
		m.done += int64(n)
		if m.tell != nil {
			m.tell(m.done, m.total)
		}
	}
	return n, err
}

// Percent is how much of a download is done, "" when its size is not known.
func Percent(done, total int64) string {
	if total <= 0 {
		return ""
	}
	return strconv.FormatInt(done*100/total, 10) + "%"
}
