// Command firstboot makes a clone itself. systemd runs it twice at every boot; people run it to look.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"goldsmith/firstboot/report"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(int(code))
}

// run is the whole program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) report.Code {
	app := newApp()
	app.Writer, app.ErrWriter = stdout, stderr
	err := app.RunContext(ctx, args)
	if err != nil {
		fmt.Fprint(stderr, report.Explain("firstboot", err))
	}
	return report.CodeOf(err)
}

func newApp() *cli.App {
	app := &cli.App{
		Name:            "firstboot",
		Usage:           "make this clone itself",
		Version:         version(),
		HideHelpCommand: true,
		ExitErrHandler:  func(*cli.Context, error) {}, // run prints and maps errors, once
		OnUsageError:    usageError,
		Action:          unknown,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "root", Value: "/", Usage: "work on the machine mounted at `DIR`"},
			&cli.StringFlag{Name: "identity", Usage: "become the identity in `FILE` (JSON) instead of asking hardware and network"},
			&cli.StringFlag{Name: "mysql", Usage: "unix `SOCKET` of its MariaDB"},
			&cli.StringFlag{Name: "postgres", Usage: "`DIRECTORY` of the socket of its PostgreSQL"},
			&cli.StringFlag{Name: "ovsdb", Usage: "unix `SOCKET` of its Open vSwitch database"},
		},
		Commands: append([]*cli.Command{planCommand(), applyCommand(), verifyCommand(), statusCommand(), listCommand(),
			diffCommand(), watchCommand()}, manCommand()...),
	}
	for _, c := range app.Commands {
		c.OnUsageError = usageError
	}
	return app
}

// unknown is what runs when no command is named, or one that is not there.
func unknown(c *cli.Context) error {
	if c.Args().Len() > 0 {
		return report.Faultf(report.Usage, "unknown command %q", c.Args().First()).WithHint("firstboot --help")
	}
	return cli.ShowAppHelp(c)
}

// usageError turns what the flag parser says into bad input with a hint.
func usageError(c *cli.Context, err error, _ bool) error {
	return report.Faultf(report.Usage, "%w", err).WithHint("%s --help", c.App.HelpName)
}
