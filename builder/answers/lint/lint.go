// Package lint is what the checkers of answer files have in common: findings, the report they make, and the mistakes that
// every file of Python's configparser dialect can have.
//
// An error means that the installer refuses the file, or reads something else than what stands there, or that what it
// builds cannot work. A warning means that the installer does what the file says, and that this is rarely wanted in a golden
// image. No finding quotes the value of a secret, of an unknown key, or of a line that is no setting.
package lint

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Severity tells errors from warnings.
type Severity string

// The severities. Only Error makes a report fail.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Finding is one mistake.
type Finding struct {
	Line     int      `json:"line"` // 1-based; 0 when the whole file is meant
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`          // stable name of the kind of mistake, as "unknown-key"
	Key      string   `json:"key,omitempty"` // as written
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"` // what to do about it
}

// A Log collects findings.
type Log struct{ list []*Finding }

// Errorf notes an error and returns it, so that a hint can be added.
func (l *Log) Errorf(line int, code, key, format string, args ...any) *Finding {
	return l.add(line, Error, code, key, fmt.Sprintf(format, args...))
}

// Warnf notes a warning and returns it, so that a hint can be added.
func (l *Log) Warnf(line int, code, key, format string, args ...any) *Finding {
	return l.add(line, Warning, code, key, fmt.Sprintf(format, args...))
}

func (l *Log) add(line int, s Severity, code, key, message string) *Finding {
	f := &Finding{Line: line, Severity: s, Code: code, Key: key, Message: message}
	l.list = append(l.list, f)
	return f
}

// Hintf sets what to do about a finding.
func (f *Finding) Hintf(format string, args ...any) { f.Hint = fmt.Sprintf(format, args...) }

// Findings returns everything noted so far, by line, errors before warnings.
func (l *Log) Findings() []Finding {
	out := make([]Finding, 0, len(l.list))
	for _, f := range l.list {
		out = append(out, *f)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Severity, b.Severity))
	})
	return out
}

// A Report is what a check says about one file.
type Report struct {
	File     string    `json:"file"`
	Kind     string    `json:"kind"`    // packstack, engine-setup or hosted-engine
	Release  string    `json:"release"` // whose parameters it was checked against
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"` // never null
}

// NewReport counts the findings of a log.
func NewReport(kind, release string, l *Log) *Report {
	r := &Report{Kind: kind, Release: release, Findings: l.Findings()}
	for _, f := range r.Findings {
		if f.Severity == Error {
			r.Errors++
		} else {
			r.Warnings++
		}
	}
	return r
}

// For names the file, also in hints that are commands.
func (r *Report) For(file string) *Report {
	r.File = file
	for i := range r.Findings {
		r.Findings[i].Hint = strings.ReplaceAll(r.Findings[i].Hint, "FILE", file)
	}
	return r
}

// Add puts one more finding in front, for what is known of the file but not of its text.
func (r *Report) Add(f Finding) {
	r.Findings = slices.Insert(r.Findings, 0, f)
	if f.Severity == Error {
		r.Errors++
	} else {
		r.Warnings++
	}
}

// Text writes the report as compilers do: file:line, severity, message, code, then the hint.
func (r *Report) Text(w io.Writer) {
	for _, f := range r.Findings {
		where := r.File
		if f.Line > 0 {
			where = fmt.Sprintf("%s:%d", r.File, f.Line)
		}
		fmt.Fprintf(w, "%s: %s: %s [%s]\n", where, f.Severity, f.Message, f.Code)
		if f.Hint != "" {
			fmt.Fprintf(w, "    hint: %s\n", f.Hint)
		}
	}
	fmt.Fprintf(w, "%s: %s %s: %s, %s\n", r.File, r.Kind, r.Release, count(r.Errors, "error"), count(r.Warnings, "warning"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// JSON writes the report, indented.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Rejected is an error with every reason in it: the answers that were to be written are wrong.
type Rejected struct{ Findings []Finding }

// Error has one line for each reason.
func (r *Rejected) Error() string {
	var lines []string
	for _, f := range r.Findings {
		if f.Severity == Error {
			lines = append(lines, f.Message)
		}
	}
	return strings.Join(lines, "\n")
}
