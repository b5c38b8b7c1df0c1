//go:build !urfave_cli_no_docs

package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

// manCommand prints the manual page. The binary that goes into images is built without it.
func manCommand() []*cli.Command {
	return []*cli.Command{{Name: "man", Usage: "print this program's manual page, firstboot(8)", Hidden: true,
		Action: func(c *cli.Context) error {
			page, err := c.App.ToManWithSection(8)
			if err != nil {
				return fmt.Errorf("cannot write the manual: %w", err)
			}
			_, err = fmt.Fprint(c.App.Writer, page)
			return err
		}}}
}
