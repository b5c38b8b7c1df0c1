package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"goldsmith/builder/tree"
	"goldsmith/firstboot/report"
)

// A Hit is one place where a needle stands.
type Hit struct {
	Path     string `json:"path"`
	Offset   int64  `json:"offset"`         // bytes; in a packed file: in what it, or its member, unpacks to; -1: in the name or a link
	Line     int    `json:"line,omitempty"` // of a text file
	Kind     string `json:"kind"`
	Value    string `json:"value"`
	Encoding string `json:"encoding"`        // plain, hex, base64, ...; "gzip, plain" inside a packed file, "zip NAME, plain" in an archive's member
	Owner    string `json:"owner,omitempty"` // who changes or forgets it; "" for nobody
}

// Place renders path:line, or path@offset for what is no text.
func (h Hit) Place() string {
	switch {
	case h.Offset < 0:
		return h.Path
	case h.Line > 0:
		return fmt.Sprintf("%s:%d", h.Path, h.Line)
	}
	return fmt.Sprintf("%s@%d", h.Path, h.Offset)
}

// Options says what to look for, and who owns what.
type Options struct {
	Needles []Needle
	// Owner names who owns a hit, "" if nobody does. It may be asked several times at once.
	Owner func(Hit) string
	// Accept lets places be that nobody owns.
	Accept []Acceptance
	// Skip leaves out a path and what is below it.
	Skip func(path string) bool
	// Progress is told how many bytes were searched, from several goroutines one after the other. It may be nil.
	Progress func(bytes int64)
}

// A Result is what was found.
type Result struct {
	Files     int64    `json:"files"`
	Bytes     int64    `json:"bytes"`               // that were searched, after unpacking
	Hits      []Hit    `json:"hits"`                // by path and offset
	Truncated bool     `json:"truncated,omitempty"` // there are more than were kept
	Unread    []string `json:"unread,omitempty"`    // files that could not be read to their end, with the reason
	// Closed counts the packed files that were not looked into, by format.
	Closed map[string]int `json:"closed,omitempty"`
	// Unused are acceptances that no place needed: what they were for is gone, or has moved.
	Unused []Acceptance `json:"unused,omitempty"`
}

// Unowned are the hits that nobody owns.
func (r *Result) Unowned() []Hit {
	return slices.DeleteFunc(slices.Clone(r.Hits), func(h Hit) bool { return h.Owner != "" })
}

// Limits of a result and of what one file may unpack to.
const (
	maxHits     = 100_000
	maxPerFile  = 1000
	maxUnpacked = 1 << 30
)

// Tree searches every file below root, its name, and where it leads to if it is a link. Memory is a few megabytes for
// each processor, whatever the tree holds.
func Tree(ctx context.Context, root *tree.FS, o Options) (*Result, error) {
	for _, n := range o.Needles {
		if len(n.Value) < minName {
			return nil, report.Faultf(report.Usage, "cannot audit: %q is too short to look for", n.Value)
		}
	}
	list := patterns(o.Needles)
	if len(list) == 0 {
		return nil, report.Faultf(report.Usage, "cannot audit: the identity has no address, MAC, name or id to look for")
	}
	a := &auditor{Options: o, root: root, scan: newScanner(list), used: make([]bool, len(o.Accept))}
	work := make(chan string, 1024) // so that nobody waits for the walk, nor it for them
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			w := newWorker(a)
			for name := range work {
				w.file(ctx, name)
			}
		})
	}
	err := a.walk(ctx, work)
	close(work)
	group.Wait()
	slices.SortFunc(a.Hits, func(x, y Hit) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), cmp.Compare(x.Offset, y.Offset), strings.Compare(x.Encoding, y.Encoding),
			strings.Compare(x.Value, y.Value))
	})
	slices.Sort(a.Unread)
	a.Unused = a.unused()
	return &a.Result, errors.Join(err, ctx.Err())
}

// An auditor is the state of one search.
type auditor struct {
	Options
	root *tree.FS
	scan *scanner
	seen map[inode]bool // hard links; used by walk only

	mu   sync.Mutex
	used []bool // of Accept
	Result
}

type inode struct{ dev, ino uint64 }

// walk gives every regular file to the workers, a file with several names once.
func (a *auditor) walk(ctx context.Context, work chan<- string) error {
	a.seen = map[inode]bool{}
	w := newWorker(a)
	return fs.WalkDir(a.root, ".", func(name string, d fs.DirEntry, err error) error {
		if e := ctx.Err(); e != nil {
			return e
		}
		if err != nil {
			a.unread(name, err)
			return nil
		}
		if a.Skip != nil && a.Skip("/"+name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		w.text(name, "name, ", path.Base(name))
		info, err := d.Info()
		switch {
		case err != nil:
			a.unread(name, err)
		case info.Mode()&fs.ModeSymlink != 0:
			if target, err := a.root.ReadLink(name); err == nil {
				w.text(name, "link, ", target)
			}
		case info.Mode().IsRegular() && a.once(info):
			work <- name
		}
		return nil
	})
}

func (a *auditor) unread(name string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.Unread) < maxPerFile {
		a.Unread = append(a.Unread, fmt.Sprintf("/%s: %v", name, err))
	}
}

// closed notes a packed file that is not looked into.
func (a *auditor) closed(kind string) {
	if kind == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Closed == nil {
		a.Closed = map[string]int{}
	}
	a.Closed[kind]++
}

// add keeps the hits of one file.
func (a *auditor) add(hits []Hit, size int64) {
	if a.Owner != nil {
		for i := range hits {
			hits[i].Owner = a.Owner(hits[i])
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Bytes += size
	if room := maxHits - len(a.Hits); len(hits) > room {
		hits, a.Truncated = hits[:room], true
	}
	for i := range hits {
		a.accept(&hits[i])
	}
	a.Hits = append(a.Hits, hits...)
	if a.Progress != nil {
		a.Progress(a.Bytes)
	}
}

// A worker searches one file at a time.
type worker struct {
	a        *auditor
	buf      []byte
	unpacker *unpacker
	hits     []Hit
	cut      bool // a file had more than were kept
}

func newWorker(a *auditor) *worker {
	return &worker{a: a, buf: make([]byte, chunkSize+3*a.scan.reach), unpacker: newUnpacker()}
}

// text searches a short text that is no file's content.
func (w *worker) text(name, prefix, value string) {
	w.hits = nil
	w.a.scan.find([]byte(value), 0, len(value), w.collect(name, prefix, func(int) int64 { return -1 }))
	if len(w.hits) > 0 {
		w.a.add(w.hits, 0)
	}
}

// collect returns what find calls.
func (w *worker) collect(name, prefix string, offset func(int) int64) func(int, *pattern) {
	return func(at int, p *pattern) { w.hit(name, prefix, offset(at), p) }
}

func (w *worker) hit(name, prefix string, at int64, p *pattern) {
	if len(w.hits) >= maxPerFile {
		w.cut = true
		return
	}
	n := w.a.Needles[p.needle]
	w.hits = append(w.hits, Hit{Path: "/" + name, Offset: at, Kind: n.Kind, Value: n.Value, Encoding: prefix + p.encoding})
}

// file searches one file, and what it unpacks to.
func (w *worker) file(ctx context.Context, name string) {
	opened, err := w.a.root.Open(name)
	if err != nil {
		w.a.unread(name, err)
		return
	}
	defer opened.Close()
	f := opened.(*os.File) // what tree.FS opens is one
	w.hits = nil
	size, err := w.content(ctx, name, f)
	if err != nil && ctx.Err() == nil {
		w.a.unread(name, err)
	}
	slices.SortStableFunc(w.hits, func(x, y Hit) int { // content before what it unpacks to
		return cmp.Or(cmp.Compare(strings.Count(x.Encoding, ","), strings.Count(y.Encoding, ",")), cmp.Compare(x.Offset, y.Offset))
	})
	w.lines(name)
	w.a.mu.Lock()
	w.a.Files++
	w.a.Truncated = w.a.Truncated || w.cut
	w.a.mu.Unlock()
	w.a.add(w.hits, size)
}

func (w *worker) content(ctx context.Context, name string, f *os.File) (int64, error) {
	list, err := extents(f)
	if err != nil {
		return 0, err
	}
	var size int64
	for _, e := range list {
		r := &stoppable{ctx, io.NewSectionReader(f, e.start, e.size)}
		n, err := w.a.scan.scan(r, w.buf, func(at int64, p *pattern) { w.hit(name, "", e.start+at, p) })
		size += n
		if err != nil {
			return size, err
		}
	}
	streams, closed, err := w.unpacker.unpack(f)
	if err != nil {
		return size, err
	}
	w.a.closed(closed)
	left := int64(maxUnpacked)
	var broken error // the first; other members of an archive are searched all the same
	for _, s := range streams {
		n, err := w.stream(ctx, name, s, left)
		size += n
		left -= n
		switch {
		case ctx.Err() != nil:
			return size, err
		case err != nil && broken == nil:
			broken = fmt.Errorf("cannot unpack %s: %w", s.kind, err)
		case left == 0:
			return size, fmt.Errorf("it unpacks to more than %d bytes", maxUnpacked)
		}
	}
	return size, broken
}

// stream searches what a packed file unpacks to, up to limit bytes.
func (w *worker) stream(ctx context.Context, name string, s stream, limit int64) (int64, error) {
	r, err := s.open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return w.a.scan.scan(&stoppable{ctx, io.LimitReader(r, limit)}, w.buf, func(at int64, p *pattern) {
		w.hit(name, s.kind+", ", at, p)
	})
}

// lines finds the line of each hit in a text file, by reading up to the last of them again.
func (w *worker) lines(name string) {
	if len(w.hits) == 0 || strings.Contains(w.hits[0].Encoding, ",") {
		return
	}
	opened, err := w.a.root.Open(name)
	if err != nil {
		return
	}
	defer opened.Close()
	line, at := 1, int64(0)
	next := 0
	for next < len(w.hits) {
		n, err := opened.Read(w.buf)
		chunk := w.buf[:n]
		if bytes.IndexByte(chunk, 0) >= 0 {
			return // no text
		}
		for next < len(w.hits) && !strings.Contains(w.hits[next].Encoding, ",") && w.hits[next].Offset < at+int64(n) {
			w.hits[next].Line = line + bytes.Count(chunk[:w.hits[next].Offset-at], []byte{'\n'})
			next++
		}
		if err != nil || next < len(w.hits) && strings.Contains(w.hits[next].Encoding, ",") {
			return
		}
		line += bytes.Count(chunk, []byte{'\n'})
		at += int64(n)
	}
}

// A stoppable ends a stream when the context is done.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s *stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
