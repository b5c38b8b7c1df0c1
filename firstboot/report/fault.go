package report

import (
	"errors"
	"fmt"
	"strings"
)

// A Code is the exit status of both programs. The README's table is this list.
type Code int

// The exit codes, worst last. A run that meets several takes the highest.
const (
	Done       Code = 0 // done, or nothing to do
	Internal   Code = 1 // a fault of goldsmith itself
	Usage      Code = 2 // usage, or bad input: nothing was touched
	Refused    Code = 3 // the plan was refused: nothing was touched
	Stopped    Code = 4 // apply stopped half-way; running it again continues
	Unverified Code = 5 // done, but a check says that the result is not right
)

// A Fault is an error that knows its exit code and what the user can do about it.
type Fault struct {
	Code  Code
	Err   error
	Hints []string // commands or sentences, printed as "hint:" lines
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Faultf makes a Fault as fmt.Errorf makes an error.
func Faultf(code Code, format string, args ...any) *Fault {
	return &Fault{Code: code, Err: fmt.Errorf(format, args...)}
}

// WithHint adds a hint and returns the same fault.
func (f *Fault) WithHint(format string, args ...any) *Fault {
	f.Hints = append(f.Hints, fmt.Sprintf(format, args...))
	return f
}

// CodeOf returns the exit code for err: that of the first Fault in its tree, Internal for any other error, Done for nil.
func CodeOf(err error) Code {
	if err == nil {
		return Done
	}
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return Internal
}

// Explain renders err for a terminal: one line per mistake, then its hints. An error that no Fault stands for is our own
// and says so.
func Explain(program string, err error) string {
	if errors.Is(err, errSaid) {
		return ""
	}
	var b strings.Builder
	prefix := program + ": "
	if CodeOf(err) == Internal {
		prefix += "internal error: "
	}
	for line := range strings.SplitSeq(strings.TrimRight(err.Error(), "\n"), "\n") {
		b.WriteString(prefix + line + "\n")
	}
	for _, h := range Hints(err) {
		b.WriteString("hint: " + h + "\n")
	}
	return b.String()
}

// Hints collects the hints of every Fault in the tree of err, in order, each once.
func Hints(err error) []string {
	var out []string
	seen := map[string]bool{}
	var walk func(error)
	walk = func(e error) {
		if f, ok := e.(*Fault); ok {
			for _, h := range f.Hints {
				if !seen[h] {
					seen[h] = true
					out = append(out, h)
				}
			}
		}
		switch u := e.(type) {
		case interface{ Unwrap() error }:
			if next := u.Unwrap(); next != nil {
				walk(next)
			}
		case interface{ Unwrap() []error }:
			for _, next := range u.Unwrap() {
				walk(next)
			}
		}
	}
	walk(err)
	return out
}

// Said stands for an error that another process has printed already: only its code is left to pass on.
func Said(code Code) error { return &Fault{Code: code, Err: errSaid} }

var errSaid = errors.New("")
