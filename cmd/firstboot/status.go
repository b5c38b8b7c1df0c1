package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/host"
	"goldsmith/firstboot/identity"
	"goldsmith/firstboot/report"
	"goldsmith/firstboot/rewriters"
)

func statusCommand() *cli.Command {
	return &cli.Command{Name: "status", Usage: "print the last report; exit with its code",
		Flags: []cli.Flag{jsonFlag,
			&cli.BoolFlag{Name: "wait", Usage: "until the clone is ready or has failed"},
			&cli.DurationFlag{Name: "timeout", Value: 10 * time.Minute, Usage: "give up waiting after `TIME`"}},
		Action: status}
}

func status(c *cli.Context) error {
	h, err := host.Open(c.String("root"), host.Options{})
	if err != nil {
		return &report.Fault{Code: report.Usage, Err: err}
	}
	defer h.Close()
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	for {
		rep, err := readReport(h)
		if err != nil {
			return err
		}
		if rep != nil && (rep.State == report.Ready || rep.State == report.Failed) || !c.Bool("wait") {
			return showStatus(c, rep)
		}
		select {
		case <-ctx.Done():
			return report.Faultf(report.Stopped, "clone is not ready after %s", c.Duration("timeout")).
				WithHint("journalctl -b -u goldsmith-local -u goldsmith-stack")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// readReport returns the last report, or nil when there is none yet.
func readReport(h host.Reader) (*report.Report, error) {
	data, err := h.ReadFile(identity.ReportFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, report.Faultf(report.Usage, "cannot read the report: %w", err).WithHint("sudo firstboot status")
	}
	var rep report.Report
	if err := json.Unmarshal(data, &rep); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", identity.ReportFile, err)
	}
	return &rep, nil
}

func showStatus(c *cli.Context, rep *report.Report) error {
	if rep == nil {
		return report.Faultf(report.Stopped, "firstboot has not run on this machine yet").WithHint("firstboot status --wait")
	}
	if err := printReport(c, rep); err != nil {
		return err
	}
	if rep.Code == report.Done {
		return nil
	}
	return &report.Fault{Code: rep.Code, Err: errors.New("the last run failed"), Hints: rep.Hints}
}

func listCommand() *cli.Command {
	return &cli.Command{Name: "list", Usage: "print every place that firstboot owns, and what it leaves alone and why",
		Flags: []cli.Flag{jsonFlag, &cli.BoolFlag{Name: "places", Usage: "one line per place"}}, Action: list}
}

func list(c *cli.Context) error {
	cat := rewriters.Catalogue()
	if c.Bool("json") {
		return writeJSON(c.App.Writer, cat)
	}
	w := c.App.Writer
	for _, r := range cat {
		base := ""
		if r.Base {
			base = " (every machine)"
		}
		fmt.Fprintf(w, "%-16s %-6s %s%s\n", r.Name, r.Phase, r.Short, base)
		if !c.Bool("places") {
			continue
		}
		for _, p := range r.Owns {
			fmt.Fprintf(w, "    owns   %s %s: %s\n", p.Where, p.Key, p.Why)
		}
		for _, p := range r.Leaves {
			fmt.Fprintf(w, "    leaves %s %s: %s\n", p.Where, p.Key, p.Why)
		}
	}
	return nil
}
