// Package check asks, after a run, whether the clone is itself. One file per question; a check reads and never mends.
package check

import (
	"context"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

// A Check is one question.
type Check struct {
	Name  string
	Asks  string // the question, as it stands in the report
	Phase rewriters.Phase
	Ask   func(context.Context, *rewriters.Scene) (report.Verdict, string)
}

// All returns the checks in the order in which they are asked.
func All() []Check {
	return []Check{residue(), kernelName()}
}

// Run asks every check of the scene's phase.
func Run(ctx context.Context, s *rewriters.Scene) []report.Outcome {
	var out []report.Outcome
	for _, c := range All() {
		if c.Phase != s.Phase {
			continue
		}
		began := time.Now()
		v, why := c.Ask(ctx, s)
		out = append(out, report.Outcome{By: c.Name, What: c.Asks, Verdict: v, Why: why, Took: time.Since(began)})
	}
	return out
}
