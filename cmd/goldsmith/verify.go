package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
	"goldsmith/fleet"
	"goldsmith/fleet/probe"
)

func verifyCommand() *cli.Command {
	var questions []string
	for _, p := range probe.All() {
		questions = append(questions, fmt.Sprintf("%-15s %s", p.Name, p.Question))
	}
	return &cli.Command{
		Name:        "verify",
		Usage:       "prove from outside that each clone is itself and that no two are alike",
		ArgsUsage:   "FLEET|CLONE",
		Description: "Asks each clone at its leased address, over the network, and compares the clones:\n" + strings.Join(questions, "\n"),
		Flags: []cli.Flag{homeFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "deep", Usage: "also run a server in each cloud, with an image and a network of its own, and remove all three"},
			&cli.DurationFlag{Name: "timeout", Usage: "give services `TIME` to answer", Value: 3 * time.Minute}},
		Action: func(c *cli.Context) error {
			b, name, err := benchAndName(c)
			if err != nil {
				return err
			}
			return verify(c, b, name)
		},
	}
}

func verify(c *cli.Context, b fleet.Bench, name string) error {
	say := narrator(c)
	p, err := b.VerifyBy(c.Context, name, fleet.Inquiry{Patience: c.Duration("timeout"), Deep: c.Bool("deep"),
		Tell: func(what string) { say("waiting: %s", what) }})
	if p == nil {
		return err
	}
	if printed := writeProof(c, p); printed != nil {
		return printed
	}
	return err
}

func writeProof(c *cli.Context, p *fleet.Proof) error {
	if c.Bool("json") {
		return writeJSON(c.App.Writer, p)
	}
	if err := writeTable(c.App.Writer, proofRows(p)); err != nil {
		return err
	}
	if same := distinct(p); len(p.Clones) > 1 && same != "" {
		fmt.Fprintf(c.App.Writer, "%d clones, no two with the same %s\n", len(p.Clones), same)
	}
	return nil
}

// stackColumns are the probes that have a column of their own where some clone has such a stack.
var stackColumns = []string{"keystone", "horizon", "nova", "neutron", "server", "engine"}

func proofRows(p *fleet.Proof) [][]string {
	head := []string{"CLONE", "MAC", "IP", "HOST"}
	var stacks []string
	for _, name := range stackColumns {
		for _, c := range p.Clones {
			if a := answer(c, name); a.Verdict != report.Skip && a.Verdict != "" && !strings.Contains(strings.Join(stacks, " "), name) {
				stacks = append(stacks, name)
				head = append(head, strings.ToUpper(name))
			}
		}
	}
	rows := [][]string{append(head, "BECAME ITSELF IN")}
	for _, c := range p.Clones {
		host := "-"
		if c.Report != nil {
			host = orDash(c.Report.Identity.Hostname)
		}
		row := []string{c.Clone, c.MAC, address(c.Address), host}
		for _, name := range stacks {
			row = append(row, orDash(answer(c, name).Show))
		}
		rows = append(rows, append(row, brief(c.Own)))
	}
	return rows
}

// answer returns what the named probe said about a clone.
func answer(c fleet.Proven, name string) probe.Answer {
	for _, a := range c.Answers {
		if a.Probe == name {
			return a
		}
	}
	return probe.Answer{}
}

// distinct names what was compared and never found twice.
func distinct(p *fleet.Proof) string {
	var names []string
	for _, want := range probe.All() {
		compared, clash := 0, false
		for _, c := range p.Clones {
			if len(answer(c, want.Name).Unique) > 0 {
				compared++
			}
		}
		for _, k := range p.Clashes {
			clash = clash || k.Probe == want.Name
		}
		if compared == len(p.Clones) && !clash {
			names = append(names, want.Name)
		}
	}
	return strings.Join(names, ", ")
}
