package builder

import "time"

// Kind is what an Event tells.
type Kind string

// The kinds of events.
const (
	Begin    Kind = "begin"    // a phase begins
	Progress Kind = "progress" // of the phase: what it waits for, and how far that is
	Cached   Kind = "cached"   // the phase had been done before
	Skipped  Kind = "skipped"  // the phase is not wanted; Text says why
	Note     Kind = "note"     // something to know; the phase goes on
	End      Kind = "end"      // the phase is done
	Failed   Kind = "failed"   // the phase failed; Text is the error
)

// An Event is a line of what a bake tells while it runs. As JSON it is the format of --json.
type Event struct {
	Time  time.Time     `json:"time"`
	Kind  Kind          `json:"event"`
	Phase string        `json:"phase"`
	Text  string        `json:"text,omitempty"`
	Done  int64         `json:"done,omitempty"`
	Total int64         `json:"total,omitempty"` // 0: not known
	Took  time.Duration `json:"took_ns,omitempty"`
}

// tell sends an event.
func (j *Job) tell(k Kind, text string, took time.Duration) {
	j.send(Event{Kind: k, Text: text, Took: took})
}

// tellEvery is how often progress on one thing is told: a copy tells of every file.
const tellEvery = 200 * time.Millisecond

// wait tells what the phase waits for, and how far that is; total is 0 where it is not known.
func (j *Job) wait(what string, done, total int64) {
	if what == j.waits && total > 0 && done < total && time.Since(j.waited) < tellEvery {
		return
	}
	j.waits, j.waited = what, time.Now()
	j.send(Event{Kind: Progress, Text: what, Done: done, Total: total})
}

func (j *Job) send(e Event) {
	if j.Tell != nil {
		e.Time, e.Phase = time.Now(), j.phase
		j.Tell(e)
	}
}
