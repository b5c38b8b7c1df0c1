package vm

import (
	"io"
	"strings"
	"sync"
)

// A locked writer takes from two streams of one session.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// A tail keeps the last lines that are written to it.
type tail struct {
	max   int
	lines []string
	part  string
}

func (t *tail) Write(p []byte) (int, error) {
	t.part += strings.ReplaceAll(string(p), "\r", "\n") // of progress bars the last state counts
	for {
		line, rest, ok := strings.Cut(t.part, "\n")
		if !ok {
			t.part = t.part[max(0, len(t.part)-4096):]
			return len(p), nil
		}
		t.add(line)
		t.part = rest
	}
}

func (t *tail) add(line string) {
	if line = clean(line); line == "" {
		return
	}
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-t.max):]
}

func (t *tail) String() string {
	t.add(t.part)
	t.part = ""
	return strings.Join(t.lines, "\n")
}

// Last hands every line that says something to tell, as it comes: the sign of life of a long step.
func Last(tell func(line string)) io.Writer { return &last{tell: tell} }

type last struct {
	tail tail
	tell func(string)
}

func (l *last) Write(p []byte) (int, error) {
	l.tail.max = 1
	n, err := l.tail.Write(p)
	if len(l.tail.lines) > 0 {
		l.tell(l.tail.lines[0])
		l.tail.lines = nil
	}
	return n, err
}
