package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"goldsmith/builder"
)

// A progress prints the events of a bake. The law of it: events go to standard error, the result to standard output; a
// terminal gets one line per phase that moves, with a bar where the total is known; anything else gets plain lines, and a
// sign of life every half minute; --json gets every event, --quiet none.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // of events
	res   io.Writer // of the result
	json  bool
	quiet bool
	tty   bool
	width int

	phase string
	start time.Time // of the phase
	begin time.Time // of the bake
	last  builder.Event
	shown time.Time // when last was printed
	stop  chan struct{}
}

func newProgress(c *cli.Context) *progress {
	p := &progress{out: c.App.ErrWriter, res: c.App.Writer, json: c.Bool("json"), quiet: c.Bool("quiet"), begin: time.Now(), stop: make(chan struct{})}
	if p.json {
		p.out = c.App.Writer
	}
	if f, ok := p.out.(*os.File); ok && !p.json && !p.quiet && os.Getenv("TERM") != "dumb" {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			p.tty, p.width = true, w
		}
	}
	if !p.json && !p.quiet {
		go p.tick()
	}
	return p
}

// How often a terminal is redrawn, and how long a log file waits for a sign of life.
const (
	redraw     = 200 * time.Millisecond
	signOfLife = 30 * time.Second
)

// tick keeps the elapsed time moving while nothing else does.
func (p *progress) tick() {
	every := signOfLife
	if p.tty {
		every = redraw
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
			p.mu.Lock()
			if p.phase != "" && time.Since(p.shown) >= every {
				p.moving()
			}
			p.mu.Unlock()
		}
	}
}

// tell is the bake's Tell.
func (p *progress) tell(e builder.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		_ = json.NewEncoder(p.out).Encode(e) // a reader that went away stops nothing
		return
	}
	if p.quiet {
		return
	}
	switch e.Kind {
	case builder.Begin:
		p.phase, p.start, p.last = e.Phase, time.Now(), e
		p.moving()
	case builder.Progress:
		changed := e.Text != p.last.Text && e.Total == 0
		p.last = e
		if p.tty && time.Since(p.shown) > redraw || !p.tty && changed {
			p.moving()
		}
	case builder.Note:
		p.settled(e)
	default:
		p.phase = ""
		p.settled(e)
	}
}

// moving shows the phase that runs.
func (p *progress) moving() {
	p.shown = time.Now()
	line := fmt.Sprintf("%-24s %6s  %s", p.phase, seconds(time.Since(p.start)), p.last.Text)
	if p.last.Total > 0 {
		line = fmt.Sprintf("%-24s %6s  %s %s", p.phase, seconds(time.Since(p.start)), bar(p.last.Done, p.last.Total), p.last.Text)
	}
	if !p.tty {
		fmt.Fprintln(p.out, "  "+line)
		return
	}
	if r := []rune(line); len(r) > p.width-4 {
		line = string(r[:p.width-4])
	}
	fmt.Fprintf(p.out, "\r\x1b[K  %s", line)
}

// settled shows a phase that is over.
func (p *progress) settled(e builder.Event) {
	word, more := string(e.Kind), ""
	switch e.Kind {
	case builder.End:
		word = "done"
	case builder.Skipped, builder.Note:
		more = "  " + e.Text
	case builder.Cached:
		more = "  took " + seconds(e.Took) + " then"
		e.Took = 0
	}
	clear := ""
	if p.tty {
		clear = "\r\x1b[K"
	}
	fmt.Fprintf(p.out, "%s%-26s %6s  %s%s\n", clear, e.Phase, seconds(e.Took), word, more)
}

// end prints the result.
func (p *progress) end(j *builder.Job, err error) error {
	close(p.stop)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || p.json || p.quiet {
		return nil
	}
	if j.Until != "" {
		_, err = fmt.Fprintf(p.res, "stopped after phase %s, %s\n", j.Until, seconds(time.Since(p.begin)))
		return err
	}
	_, err = fmt.Fprintf(p.res, "image %s is in %s, %s\n", j.Name, j.Home.Image(j.Name), seconds(time.Since(p.begin)))
	return err
}

// bar draws ten steps and the percentage.
func bar(done, total int64) string {
	part := min(max(float64(done)/float64(total), 0), 1)
	full := int(part * 10)
	return fmt.Sprintf("[%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(".", 10-full), part*100)
}

// seconds shows a duration as people time a kitchen: 4.2s, 3m07s.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
