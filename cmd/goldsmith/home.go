package main

import (
	"path/filepath"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
)

// defaultHome is where a bench keeps images, caches and fleets.
const defaultHome = "/var/lib/goldsmith"

// homeFlag chooses the bench. Every command that keeps or finds something has it.
func homeFlag() cli.Flag {
	return &cli.StringFlag{Name: "home", Usage: "keep images and fleets below `DIR`", Value: defaultHome, EnvVars: []string{"GOLDSMITH_HOME"}}
}

// home returns the bench as an absolute path.
func home(c *cli.Context) (string, error) {
	path, err := filepath.Abs(c.String("home"))
	if err != nil {
		return "", report.Faultf(report.Usage, "cannot find the bench %s: %w", c.String("home"), err)
	}
	return path, nil
}

// jsonFlag is for scripts.
func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }
