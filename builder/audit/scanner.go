package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// A scanner searches for all patterns at once, after Wu and Manber (1994): it looks at two bytes and knows from a table
// how far it may go on without missing a part, the window, of any pattern. With patterns of eight bytes and more it
// touches every sixth byte or so, which is faster than an Aho-Corasick automaton, which touches every one.
type scanner struct {
	list   []pattern
	window int         // length of the part of each pattern that the table is made of: that of the shortest
	shift  [65536]byte // by two bytes: how far to go on
	ends   [65536][]candidate
	reach  int // how many bytes around a window belong to a match, or stand beside it
}

// A candidate is a pattern whose window ends in two given bytes.
type candidate struct {
	pattern int32
	offset  int32 // of the window in the pattern
}

const (
	chunkSize = 1 << 20
	maxShift  = 255
)

// newScanner makes the tables. There must be a pattern; none is shorter than two bytes.
func newScanner(list []pattern) *scanner {
	s := &scanner{list: list, window: maxShift}
	for _, p := range list {
		s.window = min(s.window, len(p.bytes))
		s.reach = max(s.reach, len(p.bytes)+2)
	}
	for i := range s.shift {
		s.shift[i] = byte(s.window - 1)
	}
	for n, p := range list {
		offset := rarest(p.bytes, s.window)
		part := p.bytes[offset : offset+s.window]
		for end := 2; end <= s.window; end++ {
			for _, block := range blocks(part[end-2], part[end-1], p.exact) {
				s.shift[block] = min(s.shift[block], byte(s.window-end))
				if end == s.window {
					s.ends[block] = append(s.ends[block], candidate{int32(n), int32(offset)})
				}
			}
		}
	}
	return s
}

// rarest chooses the window of a pattern that is not all zeros, and whose bytes are the least common ones, above all its last two: each time that
// they are met the whole pattern is compared, and disks are full of zeros.
func rarest(b []byte, window int) int {
	best, least := 0, 1<<30
	for offset := 0; offset+window <= len(b); offset++ {
		cost := 8 * (common(b[offset+window-2]) + common(b[offset+window-1]))
		for _, c := range b[offset : offset+window] {
			cost += common(c)
		}
		if zeros(b[offset:offset+window]) == window {
			continue
		}
		if cost < least {
			best, least = offset, cost
		}
	}
	return best
}

// common is how often a byte is met in the files of a machine, roughly.
func common(c byte) int {
	switch {
	case c == 0 || c == 0xff:
		return 20
	case c == ' ' || c == 'e' || c == '0':
		return 4
	case isLetter(c) || isDigit(c) || c == '.' || c == '/' || c == '\n':
		return 2
	}
	return 1
}

// blocks are the ways in which two bytes can be written.
func blocks(a, b byte, exact bool) []int {
	var list []int
	for _, x := range cases(a, exact) {
		for _, y := range cases(b, exact) {
			list = append(list, int(x)<<8|int(y))
		}
	}
	return list
}

func cases(c byte, exact bool) []byte {
	lower, upper := c|0x20, c&^0x20
	if exact || lower < 'a' || lower > 'z' {
		return []byte{c}
	}
	return []byte{lower, upper}
}

// find calls hit for every pattern whose window starts in data[from:limit], with the position of the pattern. What is
// before from and after limit is looked at to complete matches.
func (s *scanner) find(data []byte, from, limit int, hit func(at int, p *pattern)) {
	for at := from + s.window - 1; at < len(data); {
		block := int(data[at-1])<<8 | int(data[at])
		if block == 0 && zeros(data[at-s.window+1:at+1]) == s.window {
			at += zeros(data[at:]) // no window is all zeros, so the next ends with what follows them
			continue
		}
		if step := int(s.shift[block]); step > 0 {
			at += step
			continue
		}
		start := at - s.window + 1
		if start >= limit {
			return
		}
		for _, c := range s.ends[block] {
			p, begin := &s.list[c.pattern], start-int(c.offset)
			if begin >= 0 && p.matches(data, begin) {
				hit(begin, p)
			}
		}
		at++
	}
}

// zeros counts the zero bytes at the start of b.
func zeros(b []byte) int {
	n := 0
	for n+8 <= len(b) && binary.NativeEndian.Uint64(b[n:]) == 0 {
		n += 8
	}
	for n < len(b) && b[n] == 0 {
		n++
	}
	return n
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
		s.find(data, from, limit, func(at int, p *pattern) { hit(base+int64(at), p) })
		if last {
			return base + int64(len(data)), nil
		}
		from = min(limit, s.reach)
		kept = copy(buf, data[limit-from:])
		base += int64(limit - from)
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
