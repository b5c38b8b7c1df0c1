//go:build bench

package fleet_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/driver"
	"goldsmith/fleet/driver/drivertest"
)

var plotDir = flag.String("plot", "", "write scale.svg into this folder")

// A point is one fleet of the scale run.
type point struct {
	count  int
	last   time.Duration // from the order to the report of the last clone
	memory float64       // MiB of anonymous memory per clone
}

// TestScale boots 1, 6, 12 and 24 clones of the small tree at once, behind one DHCP server, and proves them distinct.
func TestScale(t *testing.T) {
	b := bench(t)
	var points []point
	for _, count := range []int{1, 6, 12, 24} {
		points = append(points, scale(t, b, count))
	}
	for _, p := range points {
		t.Logf("%2d clones: all reported after %5.1f s (%.2f s per clone), %.1f MiB per clone", p.count, p.last.Seconds(),
			p.last.Seconds()/float64(p.count), p.memory)
	}
	if *plotDir != "" {
		if err := os.WriteFile(filepath.Join(*plotDir, "scale.svg"), []byte(plot(points)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func scale(t *testing.T, b fleet.Bench, count int) point {
	t.Helper()
	began := time.Now()
	name := fmt.Sprintf("scale-%d", count)
	s := spawn(t, b, order(t, b, name, count))
	all, err := b.Wait(t.Context(), name, 5*time.Minute, nil)
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	var memory int64
	for _, st := range all {
		if st.State != fleet.Condition(report.Ready) {
			t.Errorf("%s is %s", st.Clone, st.State)
		}
		memory += st.Memory
	}
	if _, err := b.Verify(t.Context(), name, time.Minute, nil); err != nil {
		t.Error(err)
	}
	if err := b.Remove(t.Context(), name, 0); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, b, s.ID, space(name))
	return point{count, took, float64(memory) / float64(count) / (1 << 20)}
}

// TestThousandAreMade makes a thousand clones without starting them.
func TestThousandAreMade(t *testing.T) {
	b := bench(t)
	for _, d := range []driver.Driver{driver.Nspawn{}, driver.Qemu{}} {
		o := order(t, b, "thousand-"+d.Name(), 1000)
		o.Driver, o.Created = d, true
		o.Image.Disk = filepath.Join(t.TempDir(), "golden.raw")
		if err := os.WriteFile(o.Image.Disk, make([]byte, 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		spawn(t, b, o)
		made := time.Since(began)
		disk := used(t, filepath.Join(b.Home, "fleets", o.Name))
		began = time.Now()
		if err := b.Remove(t.Context(), o.Name, 0); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: 1000 clones made in %.2f s, %.1f KiB of disk each, removed in %.2f s", d.Name(), made.Seconds(),
			float64(disk)/1000/1024, time.Since(began).Seconds())
	}
	nothingLeft(t, b)
}

// used returns the bytes on disk below dir: blocks, not sizes.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	total, err := drivertest.DiskUsage(dir)
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// plot draws both curves over the number of clones.
func plot(points []point) string {
	const width, height, left, bottom = 640, 360, 60, 50
	maxCount, maxTime, maxMemory := 0.0, 0.0, 0.0
	for _, p := range points {
		maxCount, maxTime, maxMemory = max(maxCount, float64(p.count)), max(maxTime, p.last.Seconds()), max(maxMemory, p.memory)
	}
	x := func(count int) float64 { return left + float64(count)/maxCount*(width-2*left) }
	y := func(v, top float64) float64 { return height - bottom - v/(top*1.15)*(height-2*bottom) }
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&s, `<text x="%d" y="24" font-size="15">Clones of a small systemd image started at once, 2 cores, one DHCP server</text>`+"\n", left)
	fmt.Fprintf(&s, `<path d="M%d %d V%d H%d V%d" fill="none" stroke="#888"/>`+"\n", left, bottom, height-bottom, width-left, bottom)
	for _, c := range []struct {
		colour, label string
		value         func(point) float64
		top, labelX   float64
		anchor        string
	}{
		{"#b3541e", "seconds until all have reported", func(p point) float64 { return p.last.Seconds() }, maxTime, left, "start"},
		{"#1e5fb3", "MiB of memory per clone", func(p point) float64 { return p.memory }, maxMemory, width - left, "end"},
	} {
		var line []string
		for _, p := range points {
			px, py := x(p.count), y(c.value(p), c.top)
			line = append(line, fmt.Sprintf("%.1f,%.1f", px, py))
			fmt.Fprintf(&s, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/><text x="%.1f" y="%.1f" fill="%s" text-anchor="middle">%.1f</text>`+"\n",
				px, py, c.colour, px, py-9, c.colour, c.value(p))
		}
		fmt.Fprintf(&s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(line, " "), c.colour)
		fmt.Fprintf(&s, `<text x="%.0f" y="42" fill="%s" text-anchor="%s">%s</text>`+"\n", c.labelX, c.colour, c.anchor, c.label)
	}
	for _, p := range points {
		fmt.Fprintf(&s, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", x(p.count), height-bottom+18, p.count)
	}
	fmt.Fprintf(&s, `<text x="%d" y="%d" text-anchor="middle">clones</text>`+"\n</svg>\n", width/2, height-12)
	return s.String()
}
