package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// A scanner searches for all patterns at once. Of each pattern it takes a part, the window; all windows are as long as the
// shortest pattern allows. Every window holds, wherever it stands, a gram - four bytes - at one of the positions that are
// multiples of the stride, so only those are looked at: a gram's hash says from a small table, which stays in the
// processor's nearest cache, whether any window has it. Nothing in the loop waits for the step before, unlike in the
// automaton of Aho and Corasick and in the skip tables of Wu and Manber, so that the processor does several steps at once.
type scanner struct {
	list   []pattern
	gram   int    // bytes of a gram
	mask   uint32 // of them
	stride int
	marks  [1 << hashBits]byte    // by hash: 1 if a window has such a gram
	chains map[uint32][]candidate // by gram
	reach  int                    // how many bytes around a gram belong to a match, or stand beside it
}

// A candidate is a pattern that has a gram at offset.
type candidate struct {
	pattern int32
	offset  int32
}

const (
	chunkSize = 1 << 20
	maxGram   = 4
	maxStride = 7 // a longer one saves little, and fills the table
	window    = 7*maxStride + maxGram
	hashBits  = 15
	fold      = 0x20202020 // makes small letters of capital ones, and other things of other bytes, which does no harm
)

func hash(gram uint32) uint32 { return gram * 0x9e3779b1 >> (32 - hashBits) }

// newScanner makes the tables. There must be a pattern; none is shorter than two bytes.
func newScanner(list []pattern) *scanner {
	s := &scanner{list: list, chains: map[uint32][]candidate{}}
	shortest := len(list[0].bytes)
	for _, p := range list {
		shortest = min(shortest, len(p.bytes))
		s.reach = max(s.reach, len(p.bytes)+2)
	}
	s.gram = min(maxGram, shortest)
	s.mask = uint32(1<<(8*s.gram) - 1)
	s.stride = min(maxStride, shortest-s.gram+1)
	for n, p := range list {
		from := rarest(p.bytes, s.gram, s.stride)
		for at := from; at < from+s.stride; at++ {
			g := gramAt(p.bytes, at) & s.mask
			s.marks[hash(g)] = 1
			s.chains[g] = append(s.chains[g], candidate{int32(n), int32(at)})
		}
	}
	return s
}

// gramAt folds the four bytes at a position, fewer at the end.
func gramAt(b []byte, at int) uint32 {
	if at+maxGram <= len(b) {
		return binary.LittleEndian.Uint32(b[at:]) | fold
	}
	var four [maxGram]byte
	copy(four[:], b[at:])
	return binary.LittleEndian.Uint32(four[:]) | fold
}

// rarest chooses the window of a pattern by its grams: those that are seldom met in the files of a machine.
func rarest(b []byte, gram, stride int) int {
	best, least := 0, 1<<30
	for from := 0; from+stride+gram-1 <= len(b); from++ {
		cost := 0
		for at := from; at < from+stride; at++ {
			cost += frequency(b[at : at+gram])
		}
		if cost < least {
			best, least = from, cost
		}
	}
	return best
}

// frequency is how often a gram is met, roughly. Disks are full of zeros, and text of zeros, dots and spaces.
func frequency(gram []byte) int {
	product := 1
	for _, c := range gram {
		product *= common(c)
	}
	return product
}

func common(c byte) int {
	switch {
	case c == 0 || c == 0xff:
		return 32
	case c == ' ' || c == '0':
		return 8
	case c == 'e' || c == '1' || c == '.':
		return 6
	case isLetter(c) || isDigit(c) || c == '/' || c == '\n':
		return 4
	}
	return 1
}

// find calls hit for every pattern with a gram in data[from:limit] at a multiple of the stride after from, with the
// position of the pattern. What is before from and after limit is looked at to complete matches. It returns the first
// position that was not looked at.
func (s *scanner) find(data []byte, from, limit int, hit func(at int, p *pattern)) int {
	at, stride := from, s.stride
	if s.gram == maxGram {
		// Eight grams at a time.
		for end := min(limit-7*stride, len(data)-window+1); at < end; at += 8 * stride {
			if s.marked((*[window]byte)(data[at:]), stride) {
				for i := range 8 {
					s.look(data, at+i*stride, hit)
				}
			}
		}
	}
	for ; at < limit; at += stride {
		s.look(data, at, hit)
	}
	return at
}

// marked reports whether one of eight grams may be that of a window. Its shape lets the compiler leave out all checks of
// bounds: a stride is at most seven.
func (s *scanner) marked(d *[window]byte, stride int) bool {
	i, marks := stride&maxStride, &s.marks
	a := marks[hash(gramIn(d, 0))] | marks[hash(gramIn(d, i))] | marks[hash(gramIn(d, 2*i))] | marks[hash(gramIn(d, 3*i))]
	b := marks[hash(gramIn(d, 4*i))] | marks[hash(gramIn(d, 5*i))] | marks[hash(gramIn(d, 6*i))] | marks[hash(gramIn(d, 7*i))]
	return a|b != 0
}

func gramIn(d *[window]byte, at int) uint32 {
	return (uint32(d[at]) | uint32(d[at+1])<<8 | uint32(d[at+2])<<16 | uint32(d[at+3])<<24) | fold
}

// look completes the matches of one gram.
func (s *scanner) look(data []byte, at int, hit func(at int, p *pattern)) {
	if at+s.gram > len(data) {
		return
	}
	g := gramAt(data, at) & s.mask
	if s.marks[hash(g)] == 0 {
		return
	}
	for _, c := range s.chains[g] {
		p, begin := &s.list[c.pattern], at-int(c.offset)
		if begin >= 0 && p.matches(data, begin) {
			hit(begin, p)
		}
	}
}

// matches compares the whole pattern and what stands beside it.
func (p *pattern) matches(data []byte, at int) bool {
	end := at + len(p.bytes)
	if end > len(data) {
		return false
	}
	got := data[at:end]
	if p.exact && !bytes.Equal(got, p.bytes) || !p.exact && !equalFold(got, p.bytes) {
		return false
	}
	var before, after, second byte
	if at > 0 {
		before = data[at-1]
	}
	if end < len(data) {
		after = data[end]
	}
	if end+1 < len(data) {
		second = data[end+1]
	}
	return !p.edge.joins(before, after, second)
}

// equalFold compares ASCII without case.
func equalFold(a, b []byte) bool {
	for i, x := range a {
		if y := b[i]; x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// joins reports whether the bytes beside a match make it a part of something longer; second is the one after after.
func (e edge) joins(before, after, second byte) bool {
	switch e {
	case digitEdge:
		return isDigit(before) || isDigit(after) || before == '.' || after == '.' && isDigit(second)
	case letterEdge:
		return isLetter(before) || isDigit(before) || isLetter(after) || isDigit(after)
	case hexEdge:
		return isHex(before) || isHex(after)
	}
	return false
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isHex(c byte) bool    { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// scan searches a stream. Positions count from its start, and come nearly in order. The buffer is used; it must be
// larger than three times the reach.
func (s *scanner) scan(r io.Reader, buf []byte, hit func(at int64, p *pattern)) (int64, error) {
	kept, from, base := 0, 0, int64(0) // bytes of the last chunk at the start of buf; how many were searched; where buf starts
	for {
		n, err := fill(r, buf[kept:])
		data := buf[:kept+n]
		last := errors.Is(err, io.EOF)
		if err != nil && !last {
			return base + int64(len(data)), err
		}
		limit := len(data)
		if !last {
			limit -= s.reach
		}
		next := s.find(data, from, limit, func(at int, p *pattern) { hit(base+int64(at), p) })
		if last {
			return base + int64(len(data)), nil
		}
		from = min(next, s.reach)
		kept = copy(buf, data[next-from:])
		base += int64(next - from)
	}
}

// fill reads until buf is full. Unlike io.ReadFull it tells the end of the stream from one that was cut off.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var got int
		got, err = r.Read(buf[n:])
		n += got
	}
	return n, err
}
