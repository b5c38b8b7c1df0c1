// Package report is what a run leaves behind: outcomes, for eyes and as JSON, and the exit code that follows from them.
// Both programs read and write it, so it knows neither of them.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"goldsmith/firstboot/identity"
)

// A Verdict is the outcome of one change or one check.
type Verdict string

// The verdicts. Only Fail makes a report fail.
const (
	Pass Verdict = "pass"
	Skip Verdict = "skip" // did not apply here, with the reason
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// An Outcome is one line of a report. It never holds a secret: writers put "(secret)" in its place.
type Outcome struct {
	By      string        `json:"by"`   // rewriter or check
	What    string        `json:"what"` // "kind:where" of a change, the question of a check
	Verdict Verdict       `json:"verdict"`
	Why     string        `json:"why,omitempty"` // reason, or the error
	Took    time.Duration `json:"took_ns"`       // nanoseconds
}

// State is how far a clone is on its way to being itself.
type State string

// The states of a clone. Waiting and Working are passing ones.
const (
	Waiting State = "waiting" // for an address or a database
	Working State = "working"
	Ready   State = "ready"  // itself, and verified
	Failed  State = "failed" // stopped; Error says why
)

// Final says whether the clone has come to the end of its way.
func (s State) Final() bool { return s == Ready || s == Failed }

// A Report is what one run of firstboot did. The newest is kept in identity.ReportFile (0600) and printed on the console.
type Report struct {
	Format   int               `json:"format"`
	State    State             `json:"state"`
	Phase    string            `json:"phase"` // local or stack
	Identity identity.Identity `json:"identity"`
	Source   string            `json:"source"`         // who said so: kernel command line, SMBIOS credential, ...
	Home     string            `json:"home,omitempty"` // URL that the clone was told to report to
	Changes  []Outcome         `json:"changes"`
	Checks   []Outcome         `json:"checks"`
	Restarts []string          `json:"restarts,omitempty"`
	Waits    []Wait            `json:"waits,omitempty"`
	Secrets  string            `json:"secrets,omitempty"` // path of the clone's own passwords, never the passwords
	Error    string            `json:"error,omitempty"`
	Hints    []string          `json:"hints,omitempty"`
	Code     Code              `json:"code"`
	Started  time.Time         `json:"started"`
	Took     time.Duration     `json:"took_ns"`
}

// A Wait is time that was spent on somebody else: a lease, a database.
type Wait struct {
	For  string        `json:"for"`
	Took time.Duration `json:"took_ns"`
}

// JSON writes the report, indented.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Count returns how many outcomes have verdict v.
func Count(list []Outcome, v Verdict) int {
	n := 0
	for _, o := range list {
		if o.Verdict == v {
			n++
		}
	}
	return n
}

// Text writes the report for eyes: one line of summary, then what did not pass. Verbose adds what did.
func (r *Report) Text(w io.Writer, verbose bool) {
	fmt.Fprintf(w, "firstboot: %s", r.State)
	if name := r.Identity.FQDN(); name != "" {
		fmt.Fprintf(w, " as %s", name)
	}
	if r.Identity.Address.IsValid() {
		fmt.Fprintf(w, " at %s on %s", r.Identity.Address, r.Identity.Interface)
	}
	fmt.Fprintf(w, ", %d changes, %d checks, %s\n", len(r.Changes), len(r.Checks), r.Took.Round(time.Millisecond))
	for _, list := range [][]Outcome{r.Changes, r.Checks} {
		for _, o := range list {
			if verbose || o.Verdict == Warn || o.Verdict == Fail {
				fmt.Fprintf(w, "  %-4s %-14s %s%s\n", o.Verdict, o.By, o.What, reason(o.Why))
			}
		}
	}
	if r.Error != "" {
		fmt.Fprintf(w, "  error: %s\n", r.Error)
	}
	for _, h := range r.Hints {
		fmt.Fprintf(w, "  hint: %s\n", h)
	}
}

func reason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}
