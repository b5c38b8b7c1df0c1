package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"goldsmith/firstboot/report"
)

// lookEvery is how often Wait looks at the clones. Looking costs one small file each.
const lookEvery = 200 * time.Millisecond

// Wait returns when every named clone has reported that it is ready, has failed, or has stopped, or when patience is
// over. The error names every clone that is not ready, with the reason that the clone itself gives; its code is the worst
// that a clone reports. progress is told each change of state, and may be nil.
func (b Bench) Wait(ctx context.Context, name string, patience time.Duration, progress func(Standing)) ([]Standing, error) {
	deadline := time.Now().Add(patience)
	seen := map[string]Condition{}
	s, _, err := b.Find(name)
	if err != nil {
		return nil, err
	}
	hangUp, err := b.answerPhone(s)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	for {
		s, clones, err := b.Find(name) // again each time: the fleet may be removed while we wait
		if err != nil {
			return nil, err
		}
		all, err := s.Look(ctx, clones)
		if err != nil {
			return nil, err
		}
		for _, st := range all {
			if progress != nil && seen[st.Clone] != st.State {
				progress(st)
			}
			seen[st.Clone] = st.State
		}
		if !slices.ContainsFunc(all, func(st Standing) bool { return !st.settled() }) {
			return all, verdict(all, patience)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return all, errors.Join(ctx.Err(), verdict(all, patience))
		}
		time.Sleep(lookEvery)
	}
}

// verdict is nil when all are ready.
func verdict(all []Standing, patience time.Duration) error {
	var errs []error
	for _, st := range all {
		if err := st.err(patience); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortStableFunc(errs, func(a, b error) int { return int(report.CodeOf(b)) - int(report.CodeOf(a)) })
	return errors.Join(errs...)
}

func (s Standing) err(patience time.Duration) error {
	logs := fmt.Sprintf("goldsmith logs %s", s.Clone)
	switch s.State {
	case Condition(report.Ready):
		return nil
	case Condition(report.Failed):
		f := report.Faultf(failCode(s.Report), "%s failed: %s", s.Clone, orElse(s.Why, "it gives no reason"))
		for _, h := range s.Report.Hints {
			f.WithHint("on %s: %s", s.Clone, h)
		}
		return f.WithHint("goldsmith report %s", s.Clone)
	case Stopped:
		return report.Faultf(report.Unverified, "%s stopped: %s", s.Clone, s.Why).WithHint("%s", logs)
	case Created:
		return report.Faultf(report.Unverified, "%s was never started", s.Clone)
	default:
		return report.Faultf(report.Unverified, "%s is not ready after %s: still %s", s.Clone, patience, s.State).WithHint("%s", logs)
	}
}

func failCode(r *report.Report) report.Code {
	if r.Code == report.Done {
		return report.Unverified
	}
	return r.Code
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
