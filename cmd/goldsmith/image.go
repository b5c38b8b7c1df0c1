package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/builder"
	"goldsmith/builder/disk"
	"goldsmith/builder/inspect"
	"goldsmith/builder/recipe"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

// imageArg is the disk image that the only argument names: a file, or an image of the bench.
func imageArg(c *cli.Context, what string) (string, error) {
	if c.NArg() != 1 {
		return "", report.Faultf(report.Usage, "cannot %s: give one image, a file or the name of a baked one", what).
			WithHint("goldsmith %s --help", c.Command.Name)
	}
	return imagePath(c, c.Args().First())
}

// imagePath resolves a name. A file of that name wins, as it is what the user sees.
func imagePath(c *cli.Context, arg string) (string, error) {
	st, err := os.Stat(arg)
	if err == nil && !st.IsDir() {
		return arg, nil
	}
	if err == nil {
		if inside := filepath.Join(arg, builder.ImageFile); isFile(inside) {
			return inside, nil
		}
	}
	dir, err := home(c)
	if err != nil {
		return "", err
	}
	if !strings.ContainsRune(arg, '/') {
		if baked := filepath.Join(builder.Home{Dir: dir}.Image(arg), builder.ImageFile); isFile(baked) {
			return baked, nil
		}
	}
	return "", report.Faultf(report.Usage, "cannot find image %s: it is neither a file nor an image of the bench %s", arg, dir).
		WithHint("ls %s", filepath.Join(dir, "images"))
}

func isFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

// sizeArg reads a size such as 40G.
func sizeArg(text string) (int64, error) {
	var s recipe.Size
	if err := s.UnmarshalText([]byte(text)); err != nil {
		return 0, report.Faultf(report.Usage, "cannot use size: %w", err)
	}
	return int64(s), nil
}

// owners are firstboot's rewriters with the files that they write.
func owners() []inspect.Owner {
	var list []inspect.Owner
	for _, r := range rewriters.All() {
		o := inspect.Owner{Name: r.Name, Base: r.Base}
		for _, s := range r.Settings {
			o.Files = append(o.Files, s.File)
		}
		for _, s := range r.Sweeps {
			o.Files = append(o.Files, s.File)
		}
		for _, p := range r.Owns {
			if strings.HasPrefix(p.Where, "/") {
				o.Files = append(o.Files, p.Where)
			}
		}
		list = append(list, o)
	}
	return list
}

// A meter shows how far one long step is: a bar with rate and time left on a terminal, a line for each step elsewhere.
type meter struct {
	mu    sync.Mutex
	out   io.Writer
	quiet bool
	tty   bool
	phase string
	start time.Time
	shown time.Time
}

func newMeter(c *cli.Context) *meter {
	m := &meter{out: c.App.ErrWriter, quiet: c.Bool("quiet") || c.Bool("json")}
	if f, ok := m.out.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		st, err := f.Stat()
		m.tty = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	return m
}

// tell is the disk package's ProgressFunc.
func (m *meter) tell(p disk.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.quiet {
		return
	}
	if p.Phase != m.phase {
		m.finish()
		m.phase, m.start, m.shown = p.Phase, time.Now(), time.Time{}
		if !m.tty {
			fmt.Fprintf(m.out, "%s\n", p.Phase)
		}
	}
	if m.tty && time.Since(m.shown) >= redraw {
		m.shown = time.Now()
		fmt.Fprintf(m.out, "\r\x1b[K%s", m.line(p, time.Since(m.start)))
	}
}

// line renders one step.
func (m *meter) line(p disk.Progress, took time.Duration) string {
	if p.Total <= 0 && p.Done > 0 {
		return fmt.Sprintf("%-28s %6s  %s", p.Phase, seconds(took), disk.Bytes(p.Done))
	}
	if p.Total <= 0 || p.Done <= 0 {
		return fmt.Sprintf("%-28s %6s", p.Phase, seconds(took))
	}
	left := time.Duration(float64(took) * float64(p.Total-p.Done) / float64(p.Done))
	rate := ""
	if p.Total > 1<<20 { // bytes, and not a percentage
		rate = disk.Bytes(int64(float64(p.Done)/max(took.Seconds(), 0.001))) + "/s, "
	}
	return fmt.Sprintf("%-28s %6s  %s  %s%s left", p.Phase, seconds(took), bar(p.Done, p.Total), rate, seconds(left))
}

// finish ends the line of the step before.
func (m *meter) finish() {
	if m.tty && m.phase != "" {
		fmt.Fprintf(m.out, "\r\x1b[K%-28s %6s\n", m.phase, seconds(time.Since(m.start)))
	}
}

// end is called when nothing more will be told.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.finish()
	m.phase = ""
}

// printJSON writes one indented value.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
